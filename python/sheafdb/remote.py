"""Databases that a server has: the same calls over Arrow Flight SQL, by the ADBC driver.

Statements run on the server, so they do not see variables; sessions, settings and temporary tables
are the connection's there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from . import errors
from ._sheafdb import Batches, Session
from .cursor import Cursor
from .display import Shown
from .errors import InterfaceError, NotSupportedError, ProgrammingError
from .parameters import bind
from .sources import rows_of
from .text import parts, quoted

#: Schemes of addresses, and those of the driver.
_SCHEMES = {"flight": "grpc", "flight+tls": "grpc+tls", "grpc": "grpc", "grpc+tls": "grpc+tls"}


def is_address(database: str) -> bool:
    """Whether a database is named by the address of its server."""
    return "://" in database


def connect(address: str, config: dict[str, Any]) -> RemoteConnection:
    """Connects with a server: ``flight://host:port``, or ``flight+tls://host:port``.

    Options are ``user``, ``password`` and ``token``; others are the driver's own.
    """
    scheme, _, place = address.partition("://")
    if scheme not in _SCHEMES:
        raise InterfaceError(f"'{scheme}://' is not an address: write flight://host:port")
    try:
        import pyarrow  # noqa: F401
        from adbc_driver_flightsql import dbapi
    except ImportError:
        raise InterfaceError(
            "a server is reached by a driver that is not installed: "
            "pip install adbc-driver-flightsql pyarrow"
        ) from None
    options = {"adbc.flight.sql.rpc.with_cookie_middleware": "true"}
    for name, value in config.items():
        match name:
            case "user":
                options["username"] = str(value)
            case "password":
                options["password"] = str(value)
            case "token":
                options["adbc.flight.sql.authorization_header"] = f"Bearer {value}"
            case _ if name.startswith("adbc."):
                options[name] = str(value)
            case _:
                raise ProgrammingError(f"a connection with a server has no option '{name}'")
    uri = f"{_SCHEMES[scheme]}://{place}"
    with _as_ours():
        return RemoteConnection(dbapi.connect(uri, db_kwargs=options, autocommit=True))


@contextmanager
def _as_ours() -> Iterator[None]:
    """Raises what the driver and its streams raise as the exceptions of this package."""
    import adbc_driver_manager
    import pyarrow

    try:
        yield
    except (adbc_driver_manager.Error, pyarrow.ArrowException, OSError) as error:
        message = str(error)
        # The server says the state in front of its message.
        state = _STATE.search(message)
        kind = errors.of_state(state[1]) if state else errors.OperationalError
        ours = kind(message)
        ours.sqlstate = state[1] if state else None
        raise ours from error


_STATE = re.compile(r"\[([0-9A-Z]{5})\] ")


class RemoteConnection:
    """A session with a served database."""

    def __init__(self, inner: Any) -> None:
        #: The connection of the driver: PEP 249, with its ingest and metadata.
        self.adbc = inner

    def sql(self, query: str, params: Any = None) -> RemoteRelation:
        """A query, which runs when its rows are asked for; anything else runs now."""
        text, values = bind(query, params)
        if _parsed(text).is_query:
            return RemoteRelation(self, text, values)
        output = self._run_one(text, values)
        rows = output.collect()
        return cast(
            "RemoteRelation", RemoteRelation(self, text, values, rows) if output.has_rows else None
        )

    def execute(self, sql: str, params: Any = None) -> Cursor:
        """Runs one or more statements now; the rows of the last can be fetched."""
        return self.cursor().execute(sql, params)

    def executemany(self, sql: str, params: Iterable[Any]) -> Cursor:
        """Runs a statement once for each of the parameters."""
        return self.cursor().executemany(sql, params)

    def cursor(self) -> Cursor:
        """A cursor of PEP 249 in this session."""
        if self.adbc is None:
            raise ProgrammingError("the connection is closed")
        return Cursor(self)

    def table(self, name: str) -> RemoteTable:
        """A table of the served database."""
        return RemoteTable(self, name)

    def commit(self) -> None:
        """Does nothing: each statement is committed when it is done."""

    def rollback(self) -> None:
        """An error: each statement is committed when it is done."""
        raise NotSupportedError("there are no transactions of several statements")

    def close(self) -> None:
        """Ends the session; doing so again does nothing."""
        if self.adbc is not None:
            self.adbc.close()
            self.adbc = None

    def __enter__(self) -> RemoteConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, sql: str, params: Any) -> RemoteOutput | None:
        """Runs all statements of a text; gives what the last one gave."""
        text, values = bind(sql, params)
        texts = Session.split(text)
        if not texts:
            return None
        *before, last = texts
        if before and values:
            raise ProgrammingError("parameters are for one statement, the text has several")
        for statement in before:
            self._run_one(statement, []).close()
        return self._run_one(last, values)

    def _run_many(self, sql: str, params: Iterable[Any]) -> list[RemoteOutput]:
        return [self._run_one(*bind(sql, one)) for one in params]

    def _run_one(self, text: str, values: list[Any]) -> RemoteOutput:
        if self.adbc is None:
            raise ProgrammingError("the connection is closed")
        only_counts = _parsed(text).only_counts
        with _as_ours():
            cursor = self.adbc.cursor()
            try:
                if only_counts:
                    # A statement says how many rows it changed only if it may be one of many.
                    cursor.executemany(text, [values] if values else None)
                else:
                    cursor.execute(text, values or None)
                return RemoteOutput(cursor, cursor.rowcount if only_counts else None)
            except BaseException:
                cursor.close()
                raise


def _parsed(text: str) -> Any:
    """A statement of the server as our own parser reads it."""
    from .connection import default_connection

    return default_connection()._session.prepare(text)


class RemoteOutput:
    """What a statement gave on the server, with what ``Output`` has."""

    #: The server does not say what was done, nor what there is to know about it.
    tag: str | None = None
    notice: str | None = None

    def __init__(self, cursor: Any, count: int | None) -> None:
        #: How many rows were changed, where that is counted.
        self.count = count
        self._cursor = cursor
        self._reader = None if count is not None else cursor.fetch_record_batch()
        if self._reader is None:
            self._columns = Batches.of_columns({})
            self.close()
        else:
            self._columns = Batches.read(self._reader.schema.empty_table())

    @property
    def has_rows(self) -> bool:
        """Whether it gives rows."""
        return bool(self._columns.names)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return self._columns.names

    @property
    def types(self) -> list[str]:
        """The SQL names of the columns' types."""
        return self._columns.types

    def next(self) -> Batches | None:
        """The next rows; ``None`` after the last."""
        batch = self._next()
        return None if batch is None else Batches.read(batch)

    def collect(self, plain: bool = False) -> Batches:
        """All rows that were not taken. They are plain always: a server sends them so."""
        batches = []
        while (batch := self.next()) is not None:
            batches.append(batch)
        return Batches.joined(self._columns, batches)

    def close(self) -> None:
        """Ends the statement, if rows are still to come."""
        self._reader = None
        with _as_ours():
            self._cursor.close()

    def _next(self) -> Any:
        """The next rows as a batch of pyarrow; ``None`` after the last."""
        if self._reader is None:
            return None
        with _as_ours():
            try:
                return self._reader.read_next_batch()
            except StopIteration:
                self.close()
                return None

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        import pyarrow

        if self._reader is None:
            return self._columns.__arrow_c_stream__(requested_schema)
        # Whoever reads the stream keeps the statement.
        batches = iter(self._next, None)
        reader = pyarrow.RecordBatchReader.from_batches(self._reader.schema, batches)
        return reader.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> Any:
        return self._columns.__arrow_c_schema__()


class RemoteRelation(Shown):
    """A query on a served database, in every form that a local one has."""

    def __init__(
        self, connection: RemoteConnection, sql: str, values: list[Any], rows: Batches | None = None
    ) -> None:
        self._connection = connection
        self._sql = sql
        self._values = values
        self._rows = rows

    def _open(self) -> RemoteOutput | Batches:
        if self._rows is not None:
            return self._rows
        return self._connection._run_one(self._sql, self._values)


class RemoteTable:
    """A table of a served database."""

    def __init__(self, connection: RemoteConnection, name: str) -> None:
        self._connection = connection
        self._name = name

    def append(self, data: Any) -> int:
        """Adds rows in one commit, by the names of the columns; returns how many."""
        return self._ingest(self._name, data, temporary=False)

    def upsert(self, data: Any, key: str | list[str]) -> int:
        """Adds rows, in place of those with the same key, in one commit; returns how many."""
        rows = rows_of(data)
        rows = rows if isinstance(rows, Batches) else Batches.read(rows)
        keys = [key] if isinstance(key, str) else key
        names = ", ".join(map(quoted, rows.names))
        changed = [f"{quoted(n)} = excluded.{quoted(n)}" for n in rows.names if n not in keys]
        action = f"UPDATE SET {', '.join(changed)}" if changed else "NOTHING"
        self._connection.execute("DROP TABLE IF EXISTS sheafdb_upsert").close()
        self._ingest("sheafdb_upsert", rows, temporary=True)
        upserted = self._connection.execute(
            f"INSERT INTO {self._name} ({names}) SELECT {names} FROM sheafdb_upsert "
            f"ON CONFLICT ({', '.join(map(quoted, keys))}) DO {action}"
        )
        self._connection.execute("DROP TABLE sheafdb_upsert").close()
        return upserted.rowcount

    def _ingest(self, name: str, data: Any, temporary: bool) -> int:
        schema, table = parts(name)
        mode = "create" if temporary else "append"
        if self._connection.adbc is None:
            raise ProgrammingError("the connection is closed")
        with _as_ours(), self._connection.adbc.cursor() as cursor:
            return int(
                cursor.adbc_ingest(
                    table, rows_of(data), mode, db_schema_name=schema, temporary=temporary
                )
            )

    def delete(self, where: str, params: Any = None) -> int:
        """Deletes the rows for which a condition holds; returns how many."""
        return self._connection.execute(f"DELETE FROM {self._name} WHERE {where}", params).rowcount

    def __len__(self) -> int:
        return int(self._connection.sql(f"SELECT count(*) FROM {self._name}").fetchall()[0][0])
