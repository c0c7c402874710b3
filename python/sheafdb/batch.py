"""Changes of several tables in one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._sheafdb import Batches
from .errors import ProgrammingError
from .sources import rows_of

if TYPE_CHECKING:
    from .connection import Connection


class WriteBatch:
    """Changes that happen together, when the ``with`` block ends, or not at all.

    >>> import sheafdb
    >>> con = sheafdb.connect()
    >>> con.sql("CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT)")
    >>> con.sql("CREATE TABLE transfers (source BIGINT, target BIGINT, amount BIGINT)")
    >>> with con.batch() as batch:
    ...     batch.append("transfers", {"source": [1], "target": [2], "amount": [5]})
    ...     batch.upsert("accounts", {"id": [1, 2], "balance": [-5, 5]})
    >>> con.table("accounts").get(1)["balance"]
    -5
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._changes: list[tuple[str, str, Batches]] | None = []

    def append(self, table: str, data: Any) -> None:
        """Adds rows to a table; one whose key is there fails the whole batch."""
        self._add(table, "insert", data)

    def upsert(self, table: str, data: Any) -> None:
        """Adds rows in place of those with their keys; columns that they lack get defaults."""
        self._add(table, "upsert", data)

    def delete(self, table: str, keys: Any) -> None:
        """Deletes the rows with keys: data with the columns of the primary key."""
        self._add(table, "delete", keys)

    def _add(self, table: str, action: str, data: Any) -> None:
        if self._changes is None:
            raise ProgrammingError("the batch was committed already")
        rows = rows_of(data)
        rows = rows if isinstance(rows, Batches) else Batches.read(rows)
        self._changes.append((table, action, rows))

    def commit(self) -> tuple[int, int]:
        """Commits all changes; returns how many rows were put, and how many deleted."""
        if self._changes is None:
            raise ProgrammingError("the batch was committed already")
        changes, self._changes = self._changes, None
        return self._connection._session.write(changes)

    def __enter__(self) -> WriteBatch:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._changes is not None:
            self.commit()
