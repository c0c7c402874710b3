"""Cursors: PEP 249, and the other forms of results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ._sheafdb import Batches
from .errors import InterfaceError, ProgrammingError
from .results import Output, Results

#: Name, type, and five things that nobody knows.
Description = tuple[str, str, None, None, None, None, None]


class Session(Protocol):
    """What cursors are of: a connection with a database here, or with a server."""

    def _run(self, sql: str, params: Any) -> Output | None: ...
    def _run_many(self, sql: str, params: Iterable[Any]) -> Sequence[Output]: ...


class Cursor(Results):
    """What ``execute`` gives: rows to fetch, or how many were changed."""

    #: How many rows ``fetchmany`` gives without a number.
    arraysize: int = 1

    def __init__(self, connection: Session) -> None:
        self._connection = connection
        self._output: Output | None = None
        #: Rows of the batch that is being fetched, the next one last.
        self._waiting: list[tuple[Any, ...]] = []
        self._rowcount = -1
        self._closed = False

    @property
    def connection(self) -> Any:
        """The connection that the cursor is of."""
        return self._connection

    @property
    def description(self) -> list[Description] | None:
        """For each column its name and SQL type; ``None`` when there are no rows."""
        output = self._output
        if output is None or not output.has_rows:
            return None
        columns = zip(output.names, output.types, strict=True)
        return [(name, kind, None, None, None, None, None) for name, kind in columns]

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed; -1 where that is not counted."""
        return self._rowcount

    @property
    def statusmessage(self) -> str | None:
        """What was done, as PostgreSQL says it: ``INSERT 0 5``."""
        return self._output.tag if self._output else None

    @property
    def notice(self) -> str | None:
        """What the database wants to be known about the statement."""
        return self._output.notice if self._output else None

    def execute(self, sql: str, params: Any = None) -> Cursor:
        """Runs one or more statements; the rows of the last can be fetched."""
        self._check_open()
        self._start(self._connection._run(sql, params))
        return self

    def executemany(self, sql: str, params: Iterable[Any]) -> Cursor:
        """Runs a statement once for each of the parameters.

        Each run is a commit of its own: many rows are faster by ``Table.append``.
        """
        self._check_open()
        outputs = self._connection._run_many(sql, params)
        total = sum(output.count or 0 for output in outputs)
        self._start(outputs[-1] if outputs else None)
        self._rowcount = total if any(output.count is not None for output in outputs) else -1
        return self

    def _start(self, output: Output | None) -> None:
        self._output = output
        self._waiting = []
        self._rowcount = -1 if output is None or output.count is None else output.count

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; ``None`` after the last."""
        rows = self.fetchmany(1)
        return rows[0] if rows else None

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """The next rows, so many at most."""
        wanted = self.arraysize if size is None else size
        output = self._rows()
        while len(self._waiting) < wanted:
            batch = output.next()
            if batch is None:
                break
            self._waiting[:0] = reversed(batch.rows())
        wanted = min(wanted, len(self._waiting))
        return [self._waiting.pop() for _ in range(wanted)]

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows that were not fetched."""
        output = self._rows()
        rows = self._waiting[::-1]
        self._waiting = []
        while (batch := output.next()) is not None:
            rows.extend(batch.rows())
        return rows

    def __iter__(self) -> Cursor:
        return self

    def __next__(self) -> tuple[Any, ...]:
        if (row := self.fetchone()) is None:
            raise StopIteration
        return row

    def _rows(self) -> Output:
        self._check_open()
        if self._output is None or not self._output.has_rows:
            raise ProgrammingError("there are no rows to fetch: the last statement gave none")
        return self._output

    def _open(self) -> Output | Batches:
        output = self._rows()
        if self._waiting:
            raise InterfaceError("some rows of the batch were fetched already: run it again")
        return output

    def close(self) -> None:
        """Ends the statement, if rows are still to come."""
        if self._output is not None:
            self._output.close()
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise ProgrammingError("the cursor is closed")

    def setinputsizes(self, sizes: Any) -> None:
        """PEP 249 wants it; it does nothing."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """PEP 249 wants it; it does nothing."""

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
