"""Databases that a server has: the same calls over Arrow Flight SQL, by the ADBC driver.

Statements run on the server, so they do not see variables; sessions, settings and temporary tables
are the connection's there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ._sheafdb import Batches
from .errors import InterfaceError, NotSupportedError, ProgrammingError
from .parameters import bind
from .results import Results
from .sources import rows_of
from .text import parts, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    return RemoteConnection(dbapi.connect(uri, db_kwargs=options, autocommit=True))


class RemoteConnection:
    """A session with a served database."""

    def __init__(self, inner: Any) -> None:
        #: The connection of the driver: PEP 249, with its ingest and metadata.
        self.adbc = inner

    def sql(self, query: str, params: Any = None) -> RemoteRelation:
        """A query, which runs when its rows are asked for; anything else runs now."""
        from .connection import default_connection

        text, values = bind(query, params)
        # What kind of statement it is, our own parser knows.
        if default_connection()._session.prepare(text).is_query:
            return RemoteRelation(self, text, values)
        rows = RemoteRelation(self, text, values)._run()
        return cast(
            "RemoteRelation", RemoteRelation(self, text, values, rows) if rows.names else None
        )

    def execute(self, sql: str, params: Any = None) -> Any:
        """Runs a statement now; gives the driver's cursor."""
        text, values = bind(sql, params)
        cursor = self.adbc.cursor()
        cursor.execute(text, values or None)
        return cursor

    def cursor(self) -> Any:
        """A cursor of the driver."""
        return self.adbc.cursor()

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


class RemoteRelation(Results):
    """A query on a served database, in every form that a local one has."""

    def __init__(
        self, connection: RemoteConnection, sql: str, values: list[Any], rows: Batches | None = None
    ) -> None:
        self._connection = connection
        self._sql = sql
        self._values = values
        self._rows = rows
        self._fetching: Iterator[tuple[Any, ...]] | None = None

    def _run(self) -> Batches:
        with self._connection.execute(self._sql, self._values) as cursor:
            return Batches.read(cursor.fetch_record_batch())

    def _open(self) -> Batches:
        return self._rows if self._rows is not None else self._run()

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; ``None`` after the last, when the next call begins anew."""
        if self._fetching is None:
            self._fetching = iter(self.fetchall())
        row = next(self._fetching, None)
        if row is None:
            self._fetching = None
        return row

    def __repr__(self) -> str:
        from . import display

        rows = self._collect()
        return display.box(display.Preview(rows, display.ROWS, len(rows), True))


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
        self._connection.execute(
            f"INSERT INTO {self._name} ({names}) SELECT {names} FROM sheafdb_upsert "
            f"ON CONFLICT ({', '.join(map(quoted, keys))}) DO {action}"
        ).close()
        self._connection.execute("DROP TABLE sheafdb_upsert").close()
        return len(rows)

    def _ingest(self, name: str, data: Any, temporary: bool) -> int:
        schema, table = parts(name)
        mode = "create" if temporary else "append"
        with self._connection.adbc.cursor() as cursor:
            return int(
                cursor.adbc_ingest(
                    table, rows_of(data), mode, db_schema_name=schema, temporary=temporary
                )
            )

    def delete(self, where: str, params: Any = None) -> int:
        """Deletes the rows for which a condition holds; returns how many."""
        # The driver does not say how many rows a statement changed.
        sql = f"DELETE FROM {self._name} WHERE {where} RETURNING 1"
        with self._connection.execute(sql, params) as cursor:
            return len(cursor.fetchall())

    def __len__(self) -> int:
        return int(self._connection.sql(f"SELECT count(*) FROM {self._name}").fetchall()[0][0])
