"""The package for asyncio."""

import asyncio

import pytest

import sheafdb
from sheafdb import aio

LONG = "SELECT count(*) FROM range(10000000) AS a(n), range(100000) AS b(m) WHERE n * m % 7 = 1"


def test_statements_are_awaited():
    async def main():
        async with await aio.connect() as con:
            await con.execute("CREATE TABLE t (n BIGINT PRIMARY KEY, s TEXT)")
            assert await con.append("t", {"n": [1, 2], "s": ["a", "b"]}) == 2
            assert await con.upsert("t", {"n": [2], "s": ["c"]}) == 1
            assert await con.get("t", 2) == {"n": 2, "s": "c"}
            changed = await con.execute("UPDATE t SET s = 'x' WHERE n = ?", (1,))
            assert changed.rowcount == 1
            rel = await con.sql("SELECT n FROM t ORDER BY n")
            assert await rel.fetchall() == [(1,), (2,)]
            assert [row async for row in rel] == [(1,), (2,)]
            assert await rel.fetchone() == (1,)
            import pyarrow

            here = pyarrow.table({"n": [5]})
            assert await (await con.sql("SELECT n FROM here")).fetchall() == [(5,)]
            assert (await (await con.sql("SELECT n FROM t")).arrow()).num_rows == 2
            assert await con.sql("CREATE TABLE u (n INT); DROP TABLE u;") is None
            with pytest.raises(sheafdb.ProgrammingError):
                await con.execute("SELECT * FROM nothing")

    asyncio.run(main())


def test_statements_run_side_by_side():
    async def main():
        async with await aio.connect() as con:
            sums = [
                await con.sql(f"SELECT sum(n) + {i} FROM range(100000) AS t(n)") for i in range(8)
            ]
            rows = await asyncio.gather(*(s.fetchall() for s in sums))
            assert [row[0][0] - rows[0][0][0] for row in rows] == list(range(8))

    asyncio.run(main())


def test_a_cancelled_task_ends_its_statement_and_no_other():
    async def main():
        async with await aio.connect() as con:
            task = asyncio.create_task((await con.sql(LONG)).fetchall())
            other = asyncio.create_task(
                (await con.sql("SELECT sum(n) FROM range(3000000) AS t(n)")).fetchall()
            )
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(await other) == 1
            running = await (await con.sql("SELECT count(*) FROM sheaf.queries")).fetchall()
            assert running[0][0] <= 1

    asyncio.run(main())


def test_a_cancelled_append_ends_no_other_statement(tmp_path):
    import pyarrow

    async def main():
        async with await aio.connect(tmp_path / "db") as con:
            await con.execute("CREATE TABLE t (n BIGINT)")
            schema = pyarrow.schema([("n", pyarrow.int64())])

            def make():
                while True:
                    yield pyarrow.record_batch([pyarrow.array([1] * 1000)], schema=schema)

            endless = pyarrow.RecordBatchReader.from_batches(schema, make())
            appending = asyncio.create_task(con.append("t", endless))
            other = asyncio.create_task(
                (await con.sql("SELECT sum(n) FROM range(5000000) AS t(n)")).fetchall()
            )
            await asyncio.sleep(0.3)
            appending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await appending
            assert len(await other) == 1
            assert await (await con.sql("SELECT count(*) FROM t")).fetchall() == [(0,)]

    asyncio.run(main())
