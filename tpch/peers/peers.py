"""A peer's process: requests and replies are JSON lines, one class per engine.

    python peers.py ENGINE

Requests: load, open, query, close; `src/compare/protocol.rs` has their fields. An
answer is written as an Arrow IPC file, outside of the time that is measured.
"""

import glob
import json
import os
import sys
import time

import pyarrow as pa


class DuckDb:
    """DuckDB with a file of its own."""

    clustered = False

    def connect(self, path, setup):
        import duckdb

        self.version = duckdb.__version__
        self.connection = duckdb.connect(path)
        self.connection.execute(f"SET threads = {setup['threads']}")
        if setup["memory_limit"]:
            self.connection.execute(f"SET memory_limit = '{setup['memory_limit']}'")

    def load(self, tables, setup):
        os.makedirs(setup["database"])
        self.connect(os.path.join(setup["database"], "database.duckdb"), setup)
        for table in tables:
            self.connection.execute(table["create"])
            order = f" ORDER BY {table['cluster']}" if self.clustered and table["cluster"] else ""
            self.connection.execute(
                f"INSERT INTO {table['name']} SELECT * FROM {parquet(table)}{order}"
            )
        self.connection.execute("CHECKPOINT")
        self.connection.close()

    def open(self, tables, setup):
        self.connect(os.path.join(setup["database"], "database.duckdb"), setup)

    def query(self, sql):
        return self.connection.sql(sql).to_arrow_table()

    def table(self, answer):
        return answer


class DuckDbClustered(DuckDb):
    """DuckDB with its large tables in the order of their dates."""

    clustered = True


class DuckDbParquet(DuckDb):
    """DuckDB over the Parquet files: what the right answers are taken from."""

    def open(self, tables, setup):
        self.connect(":memory:", setup)
        for table in tables:
            self.connection.execute(
                f"CREATE VIEW {table['name']} AS SELECT * FROM {parquet(table)}"
            )


class Polars:
    """Polars' SQL over the Parquet files."""

    def open(self, tables, setup):
        os.environ["POLARS_MAX_THREADS"] = str(setup["threads"])
        import polars

        self.version = polars.__version__
        self.notes = no_memory_limit(setup)
        frames = {table["name"]: polars.scan_parquet(table["files"]) for table in tables}
        self.context = polars.SQLContext(frames)

    def query(self, sql):
        return self.context.execute(sql).collect()

    def table(self, answer):
        return answer.to_arrow()


class DataFusionParquet:
    """DataFusion over the Parquet files."""

    def open(self, tables, setup):
        os.environ["TOKIO_WORKER_THREADS"] = str(setup["threads"])
        import datafusion

        self.version = datafusion.__version__
        self.notes = []
        config = datafusion.SessionConfig().with_target_partitions(setup["threads"])
        runtime = datafusion.RuntimeEnvBuilder()
        if setup["memory_limit"]:
            runtime = runtime.with_disk_manager_os().with_fair_spill_pool(
                size(setup["memory_limit"])
            )
        self.context = datafusion.SessionContext(config, runtime)
        for table in tables:
            files = table["files"]
            if len(files) > 1:
                folder = os.path.dirname(files[0])
                pattern = os.path.join(folder, table["name"] + ".*-of-*.parquet")
                assert sorted(glob.glob(pattern)) == sorted(files), pattern
                self.context.register_parquet(table["name"], pattern)
            else:
                self.context.register_parquet(table["name"], files[0])

    def query(self, sql):
        frame = self.context.sql(sql)
        return frame.schema(), frame.collect()

    def table(self, answer):
        schema, batches = answer
        return pa.Table.from_batches(batches, batches[0].schema if batches else schema)


class Chdb:
    """ClickHouse in the process, MergeTree tables."""

    # What the standard says and ClickHouse does only when asked.
    STANDARD = {
        "join_use_nulls": 1,
        "group_by_use_nulls": 1,
        "aggregate_functions_null_for_empty": 1,
        "union_default_mode": "'DISTINCT'",
        "intersect_default_mode": "'DISTINCT'",
        "except_default_mode": "'DISTINCT'",
        "cast_keep_nullable": 1,
        "prefer_column_name_to_alias": 1,
        "allow_experimental_correlated_subqueries": 1,
    }

    def connect(self, setup):
        import chdb
        from chdb import session

        self.version = chdb.__version__
        os.makedirs(setup["database"], exist_ok=True)
        self.session = session.Session(setup["database"])
        self.session.query("CREATE DATABASE IF NOT EXISTS tpc ENGINE = Atomic")
        self.session.query("USE tpc")
        settings = {"max_threads": setup["threads"], **self.STANDARD}
        if setup["memory_limit"]:
            settings["max_memory_usage"] = size(setup["memory_limit"])
        for name, value in settings.items():
            self.session.query(f"SET {name} = {value}")

    def load(self, tables, setup):
        self.connect(setup)
        for table in tables:
            columns = ", ".join(self.column(*column) for column in table["columns"])
            order = ", ".join(table["key"]) or "tuple()"
            self.session.query(
                f"CREATE TABLE {table['name']} ({columns}) ENGINE = MergeTree ORDER BY ({order})"
            )
            for file in table["files"]:
                self.session.query(
                    f"INSERT INTO {table['name']} SELECT * FROM file('{file}', Parquet)"
                )
        self.session.close()

    @staticmethod
    def column(name, sql_type, nullable):
        renamed = {"INTEGER": "Int32", "BIGINT": "Int64", "DATE": "Date32", "VARCHAR": "String"}
        kind = renamed.get(sql_type, sql_type.replace("DECIMAL", "Decimal"))
        return f"{name} Nullable({kind})" if nullable else f"{name} {kind}"

    def open(self, tables, setup):
        self.connect(setup)

    def query(self, sql):
        return self.session.query(sql, "Arrow")

    def table(self, answer):
        data = answer.bytes()
        return pa.ipc.open_file(pa.BufferReader(data)).read_all() if data else pa.table({})


class Hyper:
    """Tableau's Hyper, a server that its library starts, with a file of its own."""

    def connect(self, path, setup, mode):
        import tableauhyperapi as api

        self.api = api
        self.version = api.__version__
        parameters = {
            "hard_concurrent_query_thread_limit": str(setup["threads"]),
            "log_config": "",
            "default_database_version": "4",
        }
        if setup["memory_limit"]:
            parameters["memory_limit"] = str(size(setup["memory_limit"]))
        self.server = api.HyperProcess(
            api.Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=parameters
        )
        self.connection = api.Connection(self.server.endpoint, path, mode)

    def load(self, tables, setup):
        os.makedirs(setup["database"])
        path = os.path.join(setup["database"], "database.hyper")
        self.connect(path, setup, self.create_mode())
        for table in tables:
            create = table["create"].replace("VARCHAR", "TEXT")
            # Hyper knows keys only as assumptions, which it does not check.
            create = create.replace("PRIMARY KEY", "ASSUMED PRIMARY KEY")
            self.connection.execute_command(create)
            for file in table["files"]:
                self.connection.execute_command(
                    f"COPY {table['name']} FROM '{file}' WITH (FORMAT PARQUET)"
                )
        self.end()

    @staticmethod
    def create_mode():
        import tableauhyperapi as api

        return api.CreateMode.CREATE

    def open(self, tables, setup):
        import tableauhyperapi as api

        path = os.path.join(setup["database"], "database.hyper")
        self.connect(path, setup, api.CreateMode.NONE)

    def query(self, sql):
        with self.connection.execute_query(sql) as result:
            names = [column.name.unescaped for column in result.schema.columns]
            return names, list(result)

    def table(self, answer):
        names, rows = answer
        plain = [[self.plain(value) for value in row] for row in rows]
        columns = list(zip(*plain)) if plain else [[] for _ in names]
        return pa.Table.from_arrays([pa.array(list(column)) for column in columns], names)

    def plain(self, value):
        if isinstance(value, self.api.Date):
            return value.to_date()
        if isinstance(value, self.api.Timestamp):
            return value.to_datetime()
        return value

    def end(self):
        self.connection.close()
        self.server.close()


ENGINES = {
    "duckdb": DuckDb,
    "duckdb-clustered": DuckDbClustered,
    "duckdb-parquet": DuckDbParquet,
    "polars": Polars,
    "datafusion-parquet": DataFusionParquet,
    "chdb": Chdb,
    "hyper": Hyper,
}


def parquet(table):
    files = ", ".join(f"'{file}'" for file in table["files"])
    return f"read_parquet([{files}])"


def size(text):
    """Bytes of a size like 4GB."""
    number = text.rstrip("GMKiBb ")
    unit = text[len(number) :].strip().upper().rstrip("B").rstrip("I")
    return int(float(number) * {"": 1, "K": 1e3, "M": 1e6, "G": 1e9}[unit])


def no_memory_limit(setup):
    return ["no memory limit: it has no such setting"] if setup["memory_limit"] else []


def write(path, table):
    # Readers need no dictionaries, and views are not known to all of them.
    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def handle(engine, request):
    if request["op"] == "load":
        start = time.perf_counter()
        engine.load(request["tables"], request["setup"])
        return {"seconds": [time.perf_counter() - start], "version": engine.version}
    if request["op"] == "open":
        engine.open(request["tables"], request["setup"])
        return {"version": engine.version, "notes": getattr(engine, "notes", [])}
    seconds = []
    for _ in range(request["runs"]):
        start = time.perf_counter()
        answer = engine.query(request["sql"])
        seconds.append(time.perf_counter() - start)
    table = engine.table(answer)
    write(request["answer"], table)
    return {"seconds": seconds, "rows": table.num_rows}


def main():
    # Libraries may print: replies have a channel of their own.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine = ENGINES[sys.argv[1]]()
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "close":
            break
        try:
            reply = handle(engine, request)
        except BaseException as error:  # Some engines' panics are no Exception.
            reply = {"error": f"{type(error).__name__}: {error}"[:2000]}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
    if hasattr(engine, "end"):
        engine.end()


main()
