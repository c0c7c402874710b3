"""The forms that rows can be had in, of relations and of cursors alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol

from ._sheafdb import Batches
from .errors import DataError, InterfaceError

if TYPE_CHECKING:
    import numpy
    import pandas
    import polars
    import pyarrow


class Output(Protocol):
    """What a statement gave: rows as they come, or what it did."""

    @property
    def has_rows(self) -> bool: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def types(self) -> list[str]: ...
    @property
    def count(self) -> int | None: ...
    @property
    def tag(self) -> str | None: ...
    @property
    def notice(self) -> str | None: ...
    def next(self) -> Batches | None: ...
    def collect(self, plain: bool = False) -> Batches: ...
    def close(self) -> None: ...
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...
    def __arrow_c_schema__(self) -> Any: ...


class Results:
    """Rows in the form that is asked for."""

    def _open(self) -> Output | Batches:
        """The rows, from the first that was not taken."""
        raise NotImplementedError

    def _collect(self, plain: bool = False) -> Batches:
        rows = self._open()
        return rows if isinstance(rows, Batches) else rows.collect(plain)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The rows as a stream of Arrow's C interface."""
        return self._open().__arrow_c_stream__(requested_schema)

    #: Rows that ``fetchone`` and ``fetchmany`` will give.
    _fetching: Iterator[tuple[Any, ...]] | None = None

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; ``None`` after the last, when the next call begins anew."""
        rows = self.fetchmany(1)
        return rows[0] if rows else None

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        """The next rows; fewer than so many after the last, when the next call begins anew.

        Threads that share it get each row once.
        """
        with self._turn():
            if self._fetching is None:
                self._fetching = (row for batch in batches(self) for row in batch.rows())
            rows = list(islice(self._fetching, size))
            if len(rows) < size:
                self._fetching = None
            return rows

    def _turn(self) -> RLock:
        """The lock of those who fetch: one, whichever thread comes first."""
        turn: tuple[int, RLock]
        turn = self.__dict__.setdefault("_fetcher", (os.getpid(), RLock()))
        if turn[0] != os.getpid():
            # Forked, maybe while a thread had it that is not here.
            turn = self.__dict__["_fetcher"] = (os.getpid(), RLock())
            self._fetching = None
        return turn[1]

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows as tuples."""
        return self._collect().rows()

    def arrow(self, *, views: bool = False) -> pyarrow.Table:
        """All rows as a table of pyarrow.

        With ``views`` nothing is copied: text and bytes are views, as the engine has them, with
        which pyarrow can do little yet.
        """
        rows = Views(self._collect()) if views else self._collect(plain=True)
        return needed("pyarrow").table(rows)

    def to_batches(self, *, views: bool = False) -> Iterator[pyarrow.RecordBatch]:
        """The rows as record batches of pyarrow, as they are made."""
        return iter(self.reader(views=views))

    def reader(self, *, views: bool = False) -> pyarrow.RecordBatchReader:
        """The rows as a reader of pyarrow, as they are made."""
        rows = self._open()
        return needed("pyarrow").RecordBatchReader.from_stream(Views(rows) if views else rows)

    def pl(self) -> polars.DataFrame:
        """All rows as a DataFrame of polars."""
        needed("polars")
        import polars

        return polars.DataFrame(Views(self._collect()))

    def df(self) -> pandas.DataFrame:
        """All rows as a DataFrame of pandas.

        Without pyarrow, texts and nested values are Python objects.
        """
        needed("pandas")
        import pandas

        try:
            import pyarrow
        except ImportError:
            rows = self._collect()
            columns = {i: _pandas_column(rows, i) for i in range(len(rows.names))}
            frame = pandas.DataFrame(columns, index=pandas.RangeIndex(len(rows)))
            for i, kind in enumerate(rows.types):
                if kind.startswith("timestamptz"):
                    frame[i] = frame[i].dt.tz_localize("UTC")
            frame.columns = pandas.Index(rows.names)
            return frame
        return pyarrow.table(self._collect(plain=True)).to_pandas(date_as_object=False)

    def fetchnumpy(self) -> dict[str, numpy.ndarray]:
        """All rows as an array for each column; masked where values are NULL.

        A column of vectors is an array of two dimensions. Arrays without NULLs of numbers,
        moments and vectors are the engine's own memory, and cannot be written to.
        """
        needed("numpy")
        rows = self._collect()
        return {name: array_of(rows, i) for i, name in enumerate(rows.names)}

    def torch(self) -> dict[str, Any]:
        """All rows as a tensor of PyTorch for each column of numbers or vectors.

        A tensor may be written to, so what is the engine's own memory is copied.
        """
        return tensors(self.fetchnumpy())

    def jax(self) -> dict[str, Any]:
        """All rows as an array of JAX for each column of numbers or vectors.

        JAX makes them 32 bits wide unless ``jax_enable_x64`` is on; integers that do not fit are
        an error.
        """
        jax = needed("jax.numpy")
        wide = bool(jax.config.jax_enable_x64)
        made = {}
        for name, array in _floats_for_nulls(self.fetchnumpy()):
            narrow = {"i": "int32", "u": "uint32"}.get(array.dtype.kind)
            if narrow and not wide and array.itemsize > 4:
                if (array != array.astype(narrow)).any():
                    raise DataError(
                        f"column '{name}' has integers of more than 32 bits: "
                        "jax.config.update('jax_enable_x64', True) lets JAX have them"
                    )
            made[name] = jax.numpy.asarray(array)
        return made

    to_arrow_table = arrow
    to_df = df


class Views:
    """Rows as the engine has them, for those who do as much with views as with texts."""

    def __init__(self, rows: Output | Batches) -> None:
        self._rows = rows

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        # A server sends texts.
        views = getattr(self._rows, "views", None)
        if requested_schema is not None or views is None:
            return self._rows.__arrow_c_stream__(requested_schema)
        return views()


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
    return {
        name: torch.from_numpy(array) if array.flags.writeable else torch.tensor(array)
        for name, array in _floats_for_nulls(arrays)
    }


def _floats_for_nulls(arrays: dict[str, numpy.ndarray]) -> Iterator[tuple[str, numpy.ndarray]]:
    """The arrays of numbers; those with NULLs as floats that are NaN there."""
    import numpy as np

    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            continue
        if isinstance(array, np.ma.MaskedArray):
            floats = np.ma.getdata(array).astype("float32" if array.itemsize < 4 else "float64")
            array = np.where(np.ma.getmaskarray(array), np.nan, floats)
        yield name, array


def needed(module: str) -> Any:
    """A package that people may not have."""
    try:
        return __import__(module)
    except ImportError:
        package = module.partition(".")[0]
        raise InterfaceError(f"{package} is not installed: pip install {package}") from None


def array_of(rows: Batches, column: int) -> numpy.ndarray:
    """A column as NumPy has it; masked where values are NULL."""
    import numpy as np

    values, nulls = rows.buffer(column)
    array: numpy.ndarray
    if values is None:
        # Element by element: lists of one length are no second dimension.
        array = np.fromiter(rows.objects(column), dtype=object, count=len(rows))
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
