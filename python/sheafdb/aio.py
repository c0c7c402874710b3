"""The package for asyncio: statements run in threads, without the GIL, and end when their task
is cancelled.

>>> import asyncio
>>> import sheafdb.aio
>>> async def main():
...     async with await sheafdb.aio.connect() as con:
...         await con.execute("CREATE TABLE t (n BIGINT)")
...         await con.execute("INSERT INTO t VALUES (1), (2)")
...         return await (await con.sql("SELECT sum(n) FROM t")).fetchall()
>>> asyncio.run(main())
[(3,)]
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from . import connection as blocking
from ._sheafdb import Batches, Output, Statement
from .cursor import Cursor
from .parameters import bind
from .relation import Relation

if TYPE_CHECKING:
    import numpy
    import pandas
    import polars
    import pyarrow

T = TypeVar("T")


async def _in_thread(work: Callable[..., T], *arguments: Any, end: Callable[[], None] | None) -> T:
    """Runs work in a thread; when the task is cancelled, ends it and waits for that."""
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(None, work, *arguments)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while end is not None and not future.done():
            end()
            await asyncio.wait([future], timeout=0.05)
        if future.done() and not future.cancelled():
            future.exception()
        raise


async def connect(database: str | os.PathLike[str] = blocking.MEMORY, **config: Any) -> Connection:
    """Opens a database; see :func:`sheafdb.connect`."""
    opened: blocking.Connection = await _in_thread(
        lambda: blocking.connect(database, **config), end=None
    )
    return Connection(opened)


class Connection:
    """A session with a database, for one event loop."""

    def __init__(self, connection: blocking.Connection) -> None:
        #: The same connection for code that waits.
        self.blocking = connection

    async def sql(self, query: str, params: Any = None) -> Results | None:
        """A query, which runs when its rows are asked for; anything else runs now."""
        found = await self._prepared(query, params)
        if found is None:
            return None
        statement, text, values, relations = found
        if statement.is_query:
            relation = Relation(self.blocking, statement, text, values, relations)
            return Results(relation, statement)
        output = await _in_thread(statement.run, values, relations, end=statement.interrupt)
        return self._results(statement, output) if output.has_rows else None

    async def execute(self, sql: str, params: Any = None) -> Results:
        """Runs one or more statements now; the rows of the last can be fetched."""
        found = await self._prepared(sql, params)
        if found is None:
            return Results(Cursor(self.blocking), None)
        statement, _, values, relations = found
        output = await _in_thread(statement.run, values, relations, end=statement.interrupt)
        return self._results(statement, output)

    def _results(self, statement: Statement, output: Output) -> Results:
        cursor = Cursor(self.blocking)
        cursor._start(output)
        return Results(cursor, statement)

    async def _prepared(self, sql: str, params: Any) -> Any:
        """The last statement, its text, values and relations; those before it are run.

        Variables are looked up here, where the frame of the caller is on the stack.
        """
        text, values = bind(sql, params)
        inner = self.blocking
        if ";" in text:
            alone = inner._alone()
            text, statement = await _in_thread(alone._last, text, values, end=alone.interrupt)
        else:
            text, statement = inner._last(text, values)
        if statement is None:
            return None
        return statement, text, values, inner._relations(statement)

    async def append(self, table: str, data: Any) -> int:
        """Adds rows to a table in one commit; see :meth:`sheafdb.Table.append`."""
        alone = self.blocking._alone()
        return await _in_thread(alone.table(table).append, data, end=alone.interrupt)

    async def upsert(self, table: str, data: Any) -> int:
        """Adds rows in place of those with the same key; see :meth:`sheafdb.Table.upsert`."""
        alone = self.blocking._alone()
        return await _in_thread(alone.table(table).upsert, data, end=alone.interrupt)

    async def get(self, table: str, key: Any) -> dict[str, Any] | None:
        """The row with a key; see :meth:`sheafdb.Table.get`."""
        return await _in_thread(self.blocking.table(table).get, key, end=None)

    async def close(self) -> None:
        """Gives the session back; doing so again does nothing."""
        await _in_thread(self.blocking.close, end=None)

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class Results:
    """Rows that are awaited in the form that is asked for."""

    def __init__(self, rows: Relation | Cursor, statement: Statement | None) -> None:
        self._rows = rows
        self._end = statement.interrupt if statement else None

    async def _call(self, name: str, *arguments: Any) -> Any:
        return await _in_thread(getattr(self._rows, name), *arguments, end=self._end)

    @property
    def rowcount(self) -> int:
        """How many rows were changed; -1 where that is not counted."""
        return self._rows.rowcount if isinstance(self._rows, Cursor) else -1

    async def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; ``None`` after the last."""
        row: tuple[Any, ...] | None = await self._call("fetchone")
        return row

    async def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        """The next rows, so many at most."""
        rows: list[tuple[Any, ...]] = await self._call("fetchmany", size)
        return rows

    async def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows as tuples."""
        rows: list[tuple[Any, ...]] = await self._call("fetchall")
        return rows

    async def arrow(self) -> pyarrow.Table:
        """All rows as a table of pyarrow."""
        return await self._call("arrow")

    async def df(self) -> pandas.DataFrame:
        """All rows as a DataFrame of pandas."""
        return await self._call("df")

    async def pl(self) -> polars.DataFrame:
        """All rows as a DataFrame of polars."""
        frame: polars.DataFrame = await self._call("pl")
        return frame

    async def fetchnumpy(self) -> dict[str, numpy.ndarray]:
        """All rows as an array for each column."""
        arrays: dict[str, numpy.ndarray] = await self._call("fetchnumpy")
        return arrays

    async def __aiter__(self) -> AsyncIterator[tuple[Any, ...]]:
        opened: Output | Batches = await self._call("_open")
        if isinstance(opened, Batches):
            for row in opened.rows():
                yield row
            return
        while (batch := await _in_thread(opened.next, end=self._end)) is not None:
            for row in batch.rows():
                yield row
