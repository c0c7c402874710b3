"""The forms that rows can be had in, of relations and of cursors alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._sheafdb import Batches, Output
from .errors import InterfaceError

if TYPE_CHECKING:
    import numpy
    import pandas
    import polars
    import pyarrow


class Results:
    """Rows in the form that is asked for."""

    def _open(self) -> Output | Batches:
        """The rows, from the first that was not taken."""
        raise NotImplementedError

    def _collect(self) -> Batches:
        rows = self._open()
        return rows if isinstance(rows, Batches) else rows.collect()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The rows as a stream of Arrow's C interface."""
        return self._open().__arrow_c_stream__(requested_schema)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows as tuples."""
        return self._collect().rows()

    def arrow(self) -> pyarrow.Table:
        """All rows as a table of pyarrow."""
        return needed("pyarrow").table(self._collect())

    def to_batches(self) -> Iterator[pyarrow.RecordBatch]:
        """The rows as record batches of pyarrow, as they are made."""
        return iter(self.reader())

    def reader(self) -> pyarrow.RecordBatchReader:
        """The rows as a reader of pyarrow, as they are made."""
        return needed("pyarrow").RecordBatchReader.from_stream(self._open())

    def pl(self) -> polars.DataFrame:
        """All rows as a DataFrame of polars."""
        needed("polars")
        import polars

        return polars.DataFrame(self._collect())

    def df(self) -> pandas.DataFrame:
        """All rows as a DataFrame of pandas.

        Without pyarrow, texts and nested values are Python objects.
        """
        needed("pandas")
        import pandas

        rows = self._collect()
        try:
            import pyarrow
        except ImportError:
            columns = {i: _pandas_column(rows, i) for i in range(len(rows.names))}
            frame = pandas.DataFrame(columns, index=pandas.RangeIndex(len(rows)))
            for i, kind in enumerate(rows.types):
                if kind.startswith("timestamptz"):
                    frame[i] = frame[i].dt.tz_localize("UTC")
            frame.columns = pandas.Index(rows.names)
            return frame
        return pyarrow.table(rows).to_pandas(date_as_object=False)

    def fetchnumpy(self) -> dict[str, numpy.ndarray]:
        """All rows as an array for each column; masked where values are NULL.

        A column of vectors is an array of two dimensions. Arrays without NULLs of numbers,
        moments and vectors are the engine's own memory, and cannot be written to.
        """
        needed("numpy")
        rows = self._collect()
        return {name: array_of(rows, i) for i, name in enumerate(rows.names)}

    def torch(self) -> dict[str, Any]:
        """All rows as a tensor of PyTorch for each column of numbers or vectors."""
        return tensors(self.fetchnumpy())

    to_arrow_table = arrow
    to_df = df


def batches(results: Results) -> Iterator[Batches]:
    """The rows of results as they are made; who stops early ends the query."""
    opened = results._open()
    if isinstance(opened, Batches):
        yield opened
        return
    try:
        while (batch := opened.next()) is not None:
            yield batch
    finally:
        opened.close()


def tensors(arrays: dict[str, numpy.ndarray]) -> dict[str, Any]:
    """A tensor for each array of numbers; NULL is NaN in one of floats."""
    torch = needed("torch")
    import numpy as np

    made = {}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            continue
        if isinstance(array, np.ma.MaskedArray):
            floats = np.ma.getdata(array).astype("float32" if array.itemsize < 4 else "float64")
            array = np.where(np.ma.getmaskarray(array), np.nan, floats)
        made[name] = torch.tensor(array)
    return made


def needed(module: str) -> Any:
    """A package that people may not have."""
    try:
        return __import__(module)
    except ImportError:
        raise InterfaceError(f"{module} is not installed: pip install {module}") from None


def array_of(rows: Batches, column: int) -> numpy.ndarray:
    """A column as NumPy has it; masked where values are NULL."""
    import numpy as np

    values, nulls = rows.buffer(column)
    array: numpy.ndarray
    if values is None:
        array = np.empty(len(rows), dtype=object)
        array[:] = rows.objects(column)
    else:
        array = np.asarray(values)
        if rows.types[column] == "date":
            array = array.astype("datetime64[D]")
    if nulls is None:
        return array
    mask = np.asarray(nulls)
    if array.ndim > 1:
        mask = np.repeat(mask[:, None], array.shape[1], 1)
    return np.ma.masked_array(array, mask)


def _pandas_column(rows: Batches, column: int) -> Any:
    np = needed("numpy")
    array = array_of(rows, column)
    if array.ndim > 1 or array.dtype == object:
        return rows.objects(column)
    if not isinstance(array, np.ma.MaskedArray):
        return array.astype("datetime64[s]") if array.dtype == "datetime64[D]" else array
    if array.dtype.kind in "mM":
        return array.filled(np.array("NaT", array.dtype))
    if array.dtype.kind == "b":
        return rows.objects(column)
    return array.astype("float64").filled(np.nan)
