"""An embedded database for hot rows, columns, time series and vectors, on Arrow.

>>> import sheafdb
>>> con = sheafdb.connect()
>>> con.sql("CREATE TABLE readings (id BIGINT PRIMARY KEY, celsius DOUBLE PRECISION)")
>>> con.execute("INSERT INTO readings VALUES (1, 20.5), (2, 21.0)").rowcount
2
>>> con.sql("SELECT max(celsius) FROM readings").fetchone()
(21.0,)
"""

from __future__ import annotations

import atexit
from typing import Any

from . import errors
from ._sheafdb import __version__, shut_down
from .connection import Connection, connect, default_connection
from .cursor import Cursor
from .errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    QueryCancelled,
    Warning,
)
from .pep249 import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
)
from .relation import Relation
from .table import Table

# Threads of the engine that call Python are waited for.
atexit.register(shut_down)

#: PEP 249: the version of the interface.
apilevel = "2.0"
#: PEP 249: threads may share the module and connections.
threadsafety = 2
#: PEP 249: parameters are question marks; ``$1`` and ``$name`` are possible too.
paramstyle = "qmark"


def sql(query: str, params: Any = None) -> Relation:
    """Runs a query on a database in memory that the whole process shares.

    >>> import sheafdb
    >>> sheafdb.sql("SELECT 6 * 7 AS answer").fetchone()
    (42,)
    """
    return default_connection().sql(query, params)


def execute(query: str, params: Any = None) -> Cursor:
    """Runs a statement on a database in memory that the whole process shares."""
    return default_connection().execute(query, params)


__all__ = [
    "BINARY",
    "Binary",
    "Connection",
    "Cursor",
    "DATETIME",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NUMBER",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "QueryCancelled",
    "ROWID",
    "Relation",
    "STRING",
    "Table",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "__version__",
    "apilevel",
    "connect",
    "errors",
    "execute",
    "paramstyle",
    "sql",
    "threadsafety",
]
