"""Other clients than ADBC by itself: pandas, polars, DuckDB, pyarrow's Flight."""

import duckdb
import flightsql
import pandas
import polars
import pyarrow
import pytest
from pyarrow import flight

from protobuf import command, field


def test_pandas_reads_and_writes(connection, table):
    frame = pandas.DataFrame({"a": [1, 2, 3], "t": ["x", None, "z"]})
    frame.to_sql(table, connection, index=False)
    read = pandas.read_sql(f"SELECT * FROM {table} WHERE a > 1", connection)
    assert read["a"].tolist() == [2, 3] and read["t"].isna().tolist() == [True, False]


def test_polars_reads_and_writes(connection, table):
    frame = polars.DataFrame({"a": [1, 2, 3], "t": ["x", None, "z"]})
    frame.write_database(table, connection, engine="adbc")
    read = polars.read_database(f"SELECT * FROM {table} ORDER BY a", connection)
    assert read.equals(frame)


def test_duckdb_reads_and_writes(cursor, table):
    made = duckdb.sql("SELECT range AS a, 'n' || range AS t, range::DECIMAL(9, 2) AS d FROM range(1000)")
    assert cursor.adbc_ingest(table, made.to_arrow_reader(100), mode="create") == 1000
    cursor.execute(f"SELECT * FROM {table}")
    rows = cursor.fetch_record_batch()
    joined = "SELECT count(*), sum(rows.a), max(rows.t), sum(rows.d) FROM rows JOIN range(500) r ON r.range = rows.a"
    assert duckdb.sql(joined).fetchall() == [(500, 124750, "n99", 124750)]


def test_flightsql_dbapi_reads_and_writes(server, table):
    host, port = server.uri.split("//")[1].split(":")
    # It sends a token, `None`, where it has none.
    client = flightsql.FlightSQLClient(host=host, port=int(port), insecure=True)
    cursor = flightsql.connect(client).cursor()
    cursor.execute(f"CREATE TABLE {table} (a INT, t TEXT)")
    assert client.execute_update(f"INSERT INTO {table} VALUES (1, 'x'), (2, 'y')") == 2
    cursor.execute(f"SELECT * FROM {table} ORDER BY a")
    assert cursor.fetchall() == [[1, "x"], [2, "y"]]
    with client.prepare(f"SELECT t FROM {table} WHERE a = ?") as prepared:
        info = prepared.execute(pyarrow.RecordBatch.from_pydict({"a": [2]}))
        assert client.do_get(info.endpoints[0].ticket).read_all()["t"].to_pylist() == ["y"]
    info = client.get_tables(table_name_filter_pattern=table, include_schema=True)
    assert client.do_get(info.endpoints[0].ticket).read_all()["table_name"].to_pylist() == [table]


def test_16_endpoints_have_no_location(server):
    client = flight.connect(server.uri)
    packed = command("CommandStatementQuery", field(1, b"SELECT 7 AS n"))
    info = client.get_flight_info(flight.FlightDescriptor.for_command(packed))
    assert [endpoint.locations for endpoint in info.endpoints] == [[]]
    assert client.do_get(info.endpoints[0].ticket).read_all()["n"].to_pylist() == [7]
    # Whoever holds the ticket may ask again.
    assert client.do_get(info.endpoints[0].ticket).read_all()["n"].to_pylist() == [7]


def test_17_what_is_not_there_says_so(server):
    client = flight.connect(server.uri)
    with pytest.raises(NotImplementedError, match="transaction of several statements"):
        list(client.do_action(flight.Action("BeginTransaction", b"")))
    with pytest.raises(pyarrow.ArrowInvalid, match="08P01"):
        client.do_get(flight.Ticket(b"\xff\xfe\xfd")).read_all()
    assert "CancelFlightInfo" in [action.type for action in client.list_actions()]


def test_18_substrait_plans_are_refused_with_a_reason(server):
    client = flight.connect(server.uri)
    with pytest.raises(NotImplementedError, match="Substrait"):
        list(client.do_action(flight.Action("CreatePreparedSubstraitPlan", b"")))
    plan = command("CommandStatementSubstraitPlan", field(1, field(1, b"plan")))
    with pytest.raises(NotImplementedError, match="CommandStatementSubstraitPlan"):
        client.get_flight_info(flight.FlightDescriptor.for_command(plan))
