"""Figures of the Python package beside DuckDB's, in one run on the same data.

    python figures.py [rows]

Times are the best of three; ratios are DuckDB's time / Sheaf's: above 1 Sheaf is faster. Needs the
installed wheel (built with --release), duckdb, numpy, pandas, polars and pyarrow.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

import sheafdb

RUNS = 3
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


def best(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def show(what: str, ours: float, theirs: float) -> None:
    times = f"{ours * 1e3:>10.1f} ms · duckdb {theirs * 1e3:>10.1f} ms"
    print(f"{what:<44} {times} · {theirs / ours:.2f}x")


def percentiles(work: Callable[[int], Any], count: int) -> str:
    times = []
    for i in range(count):
        start = time.perf_counter_ns()
        work(i)
        times.append(time.perf_counter_ns() - start)
    times.sort()
    return f"p50 {times[count // 2] / 1e3:.1f} us, p99 {times[count * 99 // 100] / 1e3:.1f} us"


def ingest(rows: pa.Table, folder: str) -> None:
    frame, polars = rows.to_pandas(), pl.DataFrame(rows)
    for what, source in [("Arrow", rows), ("pandas", frame), ("polars", polars)]:
        con = sheafdb.connect(f"{folder}/{what}.db")
        other = duckdb.connect(f"{folder}/{what}.duckdb")
        other.register("source", source)

        def ours() -> None:
            con.execute(f"DROP TABLE IF EXISTS t; CREATE TABLE t {COLUMNS}")
            con.table("t").append(source)

        def theirs() -> None:
            other.execute(f"CREATE OR REPLACE TABLE t {COLUMNS}").fetchall()
            other.execute("INSERT INTO t SELECT * FROM source").fetchall()
            other.execute("CHECKPOINT").fetchall()

        show(f"{len(rows):,} rows from {what}, durable", best(ours), best(theirs))
        sums = [
            c.execute("SELECT count(*), sum(k), sum(a) FROM t").fetchall() for c in (con, other)
        ]
        assert sums[0] == sums[1], sums
        con.close()
        other.close()


def results(rows: pa.Table, folder: str) -> None:
    con = sheafdb.connect(f"{folder}/Arrow.db")
    other = duckdb.connect(f"{folder}/Arrow.duckdb")
    query = "SELECT * FROM t"
    for what, ours, theirs in [
        ("Arrow", lambda: con.sql(query).arrow(), lambda: other.sql(query).to_arrow_table()),
        ("pandas", lambda: con.sql(query).df(), lambda: other.sql(query).df()),
        ("polars", lambda: con.sql(query).pl(), lambda: other.sql(query).pl()),
        ("NumPy", lambda: con.sql(query).fetchnumpy(), lambda: other.sql(query).fetchnumpy()),
    ]:
        show(f"{len(rows):,} rows to {what}", best(ours), best(theirs))
    tuples = "SELECT k, x, name FROM t LIMIT 1000000"
    ours, theirs = con.sql(tuples), other.sql(tuples)
    show(
        "1,000,000 rows as tuples", best(ours.fetchall), best(lambda: other.sql(tuples).fetchall())
    )
    one = "SELECT 1 AS n"
    print(
        "one row, con.sql(…).arrow()".ljust(44), percentiles(lambda _: con.sql(one).arrow(), 2000)
    )
    print(
        "one row, con.sql(…).fetchone()".ljust(44),
        percentiles(lambda _: con.sql(one).fetchone(), 2000),
    )
    con.close()


def keyed() -> None:
    con = sheafdb.connect()
    con.sql("CREATE TABLE t (k BIGINT PRIMARY KEY, x DOUBLE PRECISION, name TEXT)")
    table = con.table("t")
    table.append({"k": np.arange(100_000), "x": np.random.random(100_000), "name": ["x"] * 100_000})
    keys = [random.randrange(100_000) for _ in range(20_000)]
    print(
        "table.get(key), rows in memory".ljust(44),
        percentiles(lambda i: table.get(keys[i]), 20_000),
    )
    con.sql("CREATE TABLE a (k BIGINT, x DOUBLE PRECISION, name TEXT)")
    count = 1_000_000
    start = time.perf_counter()
    with con.appender("a") as rows:
        for i in range(count):
            rows.append(i, 0.5, "name")
    print(
        f"{'appender, rows of three columns':<44} {count / (time.perf_counter() - start):,.0f} /s"
    )
    con.sql("CREATE TABLE v (k BIGINT PRIMARY KEY, e VECTOR(128))")
    vectors = np.random.random((100_000, 128)).astype("float32")
    con.table("v").append({"k": np.arange(100_000), "e": vectors})
    found = con.table("v").search(vectors[5], 10).fetchall()
    assert found[0][0] == 5
    print(
        "search of 10 in 100,000 x 128, exact".ljust(44),
        percentiles(lambda i: con.table("v").search(vectors[i], 10).fetchall(), 20),
    )


def threads(rows: int) -> None:
    con = sheafdb.connect(datafusion__execution__target_partitions=1)
    con.sql(f"CREATE TABLE t AS SELECT n, n % 1000 AS g FROM range({rows}) AS t(n)")
    query = "SELECT g, sum(n) FROM t GROUP BY g"

    def ask() -> None:
        for _ in range(4):
            con.sql(query).fetchall()

    alone = best(ask)

    def both() -> None:
        pair = [threading.Thread(target=ask) for _ in range(2)]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()

    print(f"{'two threads that read, each with one core':<44} {2 * alone / best(both):.2f}x one")


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = data(rows)
        ingest(table, folder)
        results(table, folder)
    keyed()
    threads(rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
