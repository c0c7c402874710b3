"""A peer's side of the benchmarks: one task, then the process ends.

    python peers.py --task JSON

The fields of the task and of the outcome are those of `benches/src/process.rs`.
"""

import json
import os
import resource
import sys
import time


def duckdb_load(task):
    import duckdb

    os.makedirs(task["database"])
    start = time.perf_counter()
    connection = duckdb.connect(os.path.join(task["database"], "database.duckdb"))
    connection.execute(f"SET threads = {task['threads']}")
    connection.execute(task["create"])
    formats = {"csv": "(FORMAT csv, HEADER)", "ndjson": "(FORMAT json)", "parquet": "(FORMAT parquet)"}
    connection.execute(f"COPY lineitem FROM '{task['file']}' {formats[task['format']]}")
    connection.execute("CHECKPOINT")
    seconds = time.perf_counter() - start
    return seconds, connection.execute(task["check"]).fetchone()


def duckdb_export(task):
    import duckdb

    connection = duckdb.connect(os.path.join(task["database"], "database.duckdb"))
    connection.execute(f"SET threads = {task['threads']}")
    formats = {
        "csv": "(FORMAT csv, HEADER)",
        "ndjson": "(FORMAT json)",
        "parquet": "(FORMAT parquet, COMPRESSION zstd)",
    }
    start = time.perf_counter()
    connection.execute(f"COPY lineitem TO '{task['file']}' {formats[task['format']]}")
    # Sheaf's files are durable when COPY ends.
    with open(task["file"], "rb") as file:
        os.fsync(file.fileno())
    return time.perf_counter() - start, []


def duckdb_ingest(task):
    import duckdb
    import pyarrow.ipc

    rows, commits = task["commits"]
    table = pyarrow.ipc.open_file(pyarrow.memory_map(task["file"])).read_all().combine_chunks()
    batches = [table.slice(n * rows, rows) for n in range(commits)]
    os.makedirs(task["database"])
    connection = duckdb.connect(os.path.join(task["database"], "database.duckdb"))
    connection.execute(f"SET threads = {task['threads']}")
    connection.execute(task["create"])
    if rows == 1:
        # Prepared once, values bound: faster than an Arrow table of one row.
        values = [list(batch.to_pylist()[0].values()) for batch in batches]
        insert = f"INSERT INTO t VALUES ({', '.join('?' * table.num_columns)})"
        start = time.perf_counter()
        for row in values:
            connection.execute(insert, row)
    else:
        start = time.perf_counter()
        for batch in batches:
            connection.register("batch", batch)
            connection.execute("INSERT INTO t SELECT * FROM batch")
            connection.unregister("batch")
    acknowledged = time.perf_counter() - start
    connection.execute("CHECKPOINT")
    everything = time.perf_counter() - start
    seconds = everything if task["action"] == "drain" else acknowledged
    return seconds, connection.execute(task["check"]).fetchone()


duckdb_drain = duckdb_ingest


def duckdb_upsert(task):
    import duckdb
    import pyarrow.ipc

    folder = task["file"]
    os.makedirs(task["database"])
    connection = duckdb.connect(os.path.join(task["database"], "database.duckdb"))
    connection.execute(f"SET threads = {task['threads']}")
    connection.execute(task["create"])
    connection.execute(f"INSERT INTO t SELECT * FROM '{folder}/base.parquet'")
    connection.execute("CHECKPOINT")
    changes = pyarrow.ipc.open_file(pyarrow.memory_map(f"{folder}/changes.arrow")).read_all()
    changes = changes.slice(0, task["commits"][0])
    start = time.perf_counter()
    connection.execute("INSERT OR REPLACE INTO t SELECT * FROM changes")
    seconds = time.perf_counter() - start
    return seconds, connection.execute(task["check"]).fetchone()


def drained(task, ask):
    """The median time to take all rows; `ask` gives batches, or rows."""
    rows, runs = task["commits"]
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        count = sum(getattr(batch, "num_rows", 1) for batch in ask(task["check"]))
        times.append(time.perf_counter() - start)
        assert count == rows, count
    return sorted(times)[runs // 2], []


def duckdb_fetch(task):
    import duckdb

    os.makedirs(task["database"])
    connection = duckdb.connect(os.path.join(task["database"], "database.duckdb"))
    connection.execute(f"SET threads = {task['threads']}")
    connection.execute(f"CREATE TABLE t AS FROM '{task['file']}'")
    connection.execute("CHECKPOINT")
    return drained(task, lambda sql: connection.sql(sql).to_arrow_reader(1 << 16))


def adbc_fetch(task):
    import adbc_driver_flightsql.dbapi

    with adbc_driver_flightsql.dbapi.connect(task["file"], autocommit=True) as connection:
        with connection.cursor() as cursor:

            def ask(sql):
                cursor.execute(sql)
                return cursor.fetch_record_batch()

            return drained(task, ask)


def postgres_fetch(task):
    import psycopg

    with psycopg.connect(task["create"]) as connection:
        connection.execute(
            "CREATE TEMPORARY TABLE t (k BIGINT PRIMARY KEY, a INTEGER, b INTEGER, x DOUBLE PRECISION,"
            " name TEXT, is_third BOOLEAN, price DECIMAL(12, 2), at TIMESTAMP)"
        )
        with connection.cursor() as cursor, open(task["file"], "rb") as file:
            with cursor.copy("COPY t FROM STDIN (FORMAT csv, HEADER)") as copy:
                while part := file.read(1 << 20):
                    copy.write(part)

        def ask(sql):
            with connection.cursor("all_rows", binary=True) as cursor:
                cursor.itersize = 10_000
                yield from cursor.execute(sql)

        return drained(task, ask)


def polars_load(task):
    os.environ["POLARS_MAX_THREADS"] = str(task["threads"])
    import polars

    read = {"csv": polars.read_csv, "ndjson": polars.read_ndjson, "parquet": polars.read_parquet}
    start = time.perf_counter()
    frame = read[task["format"]](task["file"])
    seconds = time.perf_counter() - start
    return seconds, [str(frame.height)]


def main():
    task = json.loads(sys.argv[sys.argv.index("--task") + 1])
    seconds, answer = globals()[f"{task['engine']}_{task['action']}"](task)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "answer": [str(v) for v in answer], "peak_bytes": peak}))


main()
