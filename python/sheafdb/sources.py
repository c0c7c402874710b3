"""What the names of a statement stand for when the database does not know them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

from ._sheafdb import Batches, Query, Source
from .errors import DataError, InterfaceError

if TYPE_CHECKING:
    from .connection import Connection

#: Relations for a statement: by name, data or queries.
Named = list[tuple[str, "Source | Query"]]

_PACKAGE = os.path.dirname(__file__)


def variables(names: Iterable[str], connection: Connection) -> Named:
    """Those of the names that are variables of the calling code and can be read as rows."""
    wanted = list(names)
    if not wanted:
        return []
    frame = _caller()
    if frame is None:
        return []
    scopes: tuple[Mapping[str, Any], ...] = (frame.f_locals, frame.f_globals)
    found = []
    for name in wanted:
        for scope in scopes:
            value = _look(scope, name)
            if value is not None and (source := relation_of(value, connection)) is not None:
                found.append((name, source))
                break
    return found


def _caller() -> FrameType | None:
    """The innermost frame that is not of this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and os.path.dirname(frame.f_code.co_filename) == _PACKAGE:
        frame = frame.f_back
    return frame


def _look(scope: Mapping[str, Any], name: str) -> Any:
    """The variable with a name that SQL may have folded to lower case."""
    if name in scope:
        return scope[name]
    alike = [key for key in scope if key.lower() == name]
    return scope[alike[0]] if len(alike) == 1 else None


def relation_of(value: Any, connection: Connection) -> Source | Query | None:
    """The value as a relation; ``None`` when it holds no rows."""
    from .relation import Relation
    from .table import Table

    if isinstance(value, Relation):
        return value._as_relation(connection)
    if isinstance(value, Table):
        return value.rel()._as_relation(connection) if value.exists else None
    if isinstance(value, Batches):
        return Source.computed(value)
    kind = type(value).__module__.partition(".")[0]
    if kind == "polars" and hasattr(value, "collect"):
        return Source.held(value.collect())
    if hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__"):
        in_memory = kind in _FRAMES and hasattr(value, "columns")
        if in_memory or not hasattr(value, "__arrow_c_stream__"):
            return Source.held(_exported(value))
        # What is read by taking from it is read once.
        return Source.streamed(value, hasattr(value, "read_next_batch"))
    return None


#: Libraries whose tables are in memory, and stay as they are while a statement reads them.
_FRAMES = frozenset({"pyarrow", "polars", "pandas", "arro3", "modin"})


class _Exported:
    """A value whose stream was made in our sight, so that what fails is told as ours."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.stream


def _exported(value: Any) -> Any:
    """pandas converts to Arrow when it is asked for a stream, which may fail."""
    if type(value).__module__.partition(".")[0] != "pandas":
        return value
    try:
        return _Exported(value.__arrow_c_stream__())
    except ImportError as error:
        raise InterfaceError(f"a DataFrame of pandas needs pyarrow: {error}") from error
    except Exception as error:
        raise DataError(f"the DataFrame cannot be read as Arrow: {error}") from error


def rows_of(data: Any) -> Any:
    """Data with Arrow's interface, from what people have rows in."""
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return _exported(data)
    kind = type(data).__module__.partition(".")[0]
    if kind == "polars" and hasattr(data, "collect"):
        return data.collect()
    if isinstance(data, Mapping):
        return Batches.of_columns({str(name): _values(column) for name, column in data.items()})
    if isinstance(data, (list, tuple)) and all(isinstance(row, Mapping) for row in data):
        names = dict.fromkeys(name for row in data for name in row)
        return Batches.of_columns({str(name): [row.get(name) for row in data] for name in names})
    if kind == "pandas":
        raise InterfaceError("this version of pandas has no Arrow stream: pandas 2.2 has")
    raise InterfaceError(
        f"a {type(data).__name__} holds no rows: give an Arrow table, a DataFrame, "
        "a dict of columns, or a list of dicts"
    )


def _values(column: Any) -> Any:
    """A column as Arrow, as an array of NumPy, or as a list."""
    return column if hasattr(column, "tolist") else list(column)
