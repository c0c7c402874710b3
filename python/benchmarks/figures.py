"""Figures of the Python package beside DuckDB's, in one run on the same data.

``cargo xtask bench python`` runs it, with a folder for databases and how many rows there are to
be, and measures the calls of Rust that some figures are compared with. Each figure is a line of
JSON. Times are medians.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

import sheafdb

RUNS = 5
COLUMNS = "(k BIGINT, a INTEGER, x DOUBLE, name VARCHAR, flag BOOLEAN, moment TIMESTAMP)"


def data(rows: int) -> pa.Table:
    random = np.random.default_rng(1)
    names = np.array([f"name {i}" for i in range(1000)])
    return pa.table(
        {
            "k": np.arange(rows),
            "a": random.integers(0, 100_000, rows).astype("int32"),
            "x": random.random(rows),
            "name": pa.array(names[random.integers(0, 1000, rows)]),
            "flag": random.random(rows) < 0.5,
            "moment": (np.arange(rows) * 1_000_000).astype("datetime64[us]"),
        }
    )


def timed(work: Callable[[int], Any], runs: int = RUNS) -> list[float]:
    """How many milliseconds each run takes, sorted."""
    times = []
    for run in range(runs):
        start = time.perf_counter_ns()
        found = work(run)
        times.append((time.perf_counter_ns() - start) / 1e6)
        del found
    return sorted(times)


def show(name: str, **found: Any) -> None:
    print(json.dumps({"name": name, **found}), flush=True)


def beside(name: str, ours: Callable[[int], Any], theirs: Callable[[int], Any]) -> None:
    times = [statistics.median(timed(work)) for work in (ours, theirs)]
    show(name, ms=times[0], duckdb_ms=times[1])


def alone(name: str, work: Callable[[int], Any], runs: int) -> None:
    times = [time * 1e3 for time in timed(work, runs)]
    show(name, text=f"p50 {times[runs // 2]:.1f} us, p99 {times[runs * 99 // 100]:.1f} us")


def beside_rust(name: str, work: Callable[[int], Any], runs: int, **call: Any) -> None:
    ms = statistics.median(timed(work, runs))
    show(name, ms=ms, call={"vector": None, "runs": runs, **call})


def ingest(rows: pa.Table, folder: str) -> None:
    frame, polars = rows.to_pandas(), pl.DataFrame(rows)
    for what, source in [("Arrow", rows), ("pandas", frame), ("polars", polars)]:
        con = sheafdb.connect(f"{folder}/{what}.db")
        other = duckdb.connect(f"{folder}/{what}.duckdb")
        other.register("source", source)

        def ours(_: int) -> None:
            con.execute(f"DROP TABLE IF EXISTS t; CREATE TABLE t {COLUMNS}")
            con.table("t").append(source)

        def theirs(_: int) -> None:
            other.execute(f"CREATE OR REPLACE TABLE t {COLUMNS}").fetchall()
            other.execute("INSERT INTO t SELECT * FROM source").fetchall()
            other.execute("CHECKPOINT").fetchall()

        beside(f"{len(rows):,} rows from {what}, durable", ours, theirs)
        sums = [
            c.execute("SELECT count(*), sum(k), sum(a) FROM t").fetchall() for c in (con, other)
        ]
        assert sums[0] == sums[1], sums
        con.close()
        other.close()


def results(rows: pa.Table, folder: str) -> None:
    count = f"{len(rows):,}"
    database = f"{folder}/Arrow.db"
    con = sheafdb.connect(database)
    other = duckdb.connect(f"{folder}/Arrow.duckdb")
    query = "SELECT * FROM t"
    mine, others = con.sql(query).arrow(), other.sql(query).to_arrow_table()
    assert mine.sort_by("k").equals(others.cast(mine.schema).sort_by("k"))
    del mine, others
    for what, ours, theirs in [
        ("Arrow", lambda _: con.sql(query).arrow(), lambda _: other.sql(query).to_arrow_table()),
        ("pandas", lambda _: con.sql(query).df(), lambda _: other.sql(query).df()),
        ("polars", lambda _: con.sql(query).pl(), lambda _: other.sql(query).pl()),
        ("NumPy", lambda _: con.sql(query).fetchnumpy(), lambda _: other.sql(query).fetchnumpy()),
    ]:
        beside(f"{count} rows to {what}", ours, theirs)
    tuples = "SELECT k, x, name FROM t LIMIT 1000000"
    beside(
        "1,000,000 rows as tuples",
        lambda _: con.sql(tuples).fetchall(),
        lambda _: other.sql(tuples).fetchall(),
    )
    for what, views in [("Arrow", False), ("Arrow with views", True)]:
        beside_rust(
            f"{count} rows to {what}, beside Rust",
            lambda _, views=views: con.sql(query).arrow(views=views),
            RUNS,
            database=database,
            sql=query,
        )
    one = "SELECT 1 AS n"
    alone("one row, con.sql(…).fetchone()", lambda _: con.sql(one).fetchone(), 2000)
    beside_rust(
        "one row, con.sql(…).arrow(), beside Rust",
        lambda _: con.sql(one).arrow(),
        2000,
        database=database,
        sql=one,
    )
    con.close()


def keyed(folder: str) -> None:
    database = f"{folder}/keyed.db"
    con = sheafdb.connect(database)
    con.sql("CREATE TABLE t (k BIGINT PRIMARY KEY, x DOUBLE PRECISION, name TEXT)")
    table = con.table("t")
    table.append({"k": np.arange(100_000), "x": np.random.random(100_000), "name": ["x"] * 100_000})
    keys = [random.randrange(100_000) for _ in range(20_000)]
    alone("table.get(key), rows in memory", lambda i: table.get(keys[i]), 20_000)
    con.sql("CREATE TABLE a (k BIGINT, x DOUBLE PRECISION, name TEXT)")
    count = 1_000_000
    start = time.perf_counter()
    with con.appender("a") as rows:
        for i in range(count):
            rows.append(i, 0.5, "name")
    took = time.perf_counter() - start
    show("appender, rows of three columns", text=f"{count / took:,.0f} /s")
    con.sql("CREATE TABLE v (k BIGINT PRIMARY KEY, e VECTOR(128))")
    vectors = np.random.random((100_000, 128)).astype("float32")
    table = con.table("v")
    table.append({"k": np.arange(100_000), "e": vectors})
    con.execute("CALL sheaf.flush('v')")
    assert table.search(vectors[5], 10).fetchall()[0][0] == 5
    beside_rust(
        "search of 10 in 100,000 x 128, exact, beside Rust",
        lambda _: table.search(vectors[5], 10).arrow(),
        50,
        database=database,
        sql="SELECT *, e <-> $1 AS distance FROM v WHERE e IS NOT NULL ORDER BY distance LIMIT 10",
        vector=[float(x) for x in vectors[5]],
    )
    con.close()


def threads(rows: int) -> None:
    con = sheafdb.connect(datafusion__execution__target_partitions=1)
    con.sql(f"CREATE TABLE t AS SELECT n, n % 1000 AS g FROM range({rows}) AS t(n)")
    query = "SELECT g, sum(n) FROM t GROUP BY g"

    def ask(_: int) -> None:
        for _ in range(4):
            con.sql(query).fetchall()

    def both(run: int) -> None:
        pair = [threading.Thread(target=ask, args=[run]) for _ in range(2)]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()

    faster = 2 * statistics.median(timed(ask)) / statistics.median(timed(both))
    show("two threads that read, each with one core", text=f"{faster:.2f} of one")


def main(folder: str, rows: int) -> None:
    table = data(rows)
    ingest(table, folder)
    results(table, folder)
    keyed(folder)
    threads(rows)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
