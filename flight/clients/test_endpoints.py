"""Queries with several endpoints, whose readers share the rows."""

import time
from concurrent.futures import ThreadPoolExecutor

import adbc_driver_manager
import pyarrow as pa
import pyarrow.flight as flight
import pytest

from protobuf import command, field

MILLION = "SELECT value AS n, 'row ' || value AS t FROM generate_series(1, 1000000)"


def set_endpoints(client, count):
    option = field(1, b"endpoints") + field(2, field(1, str(count).encode()))
    results = client.do_action(flight.Action("SetSessionOptions", field(1, option)))
    return b"".join(result.body.to_pybytes() for result in results)


@pytest.fixture
def client(server):
    # Of its own connection, and so with a session of its own.
    client = flight.connect(server.uri, generic_options=[("grpc.use_local_subchannel_pool", 1)])
    assert set_endpoints(client, 4) == b""
    yield client
    client.close()


def announced(client, sql):
    packed = command("CommandStatementQuery", field(1, sql.encode()))
    return client.get_flight_info(flight.FlightDescriptor.for_command(packed))


def test_readers_at_once_get_each_row_once(server, client):
    info = announced(client, MILLION)
    assert len({endpoint.ticket.ticket for endpoint in info.endpoints}) == 4

    def read(endpoint):
        own = flight.connect(server.uri, generic_options=[("grpc.use_local_subchannel_pool", 1)])
        return own.do_get(endpoint.ticket).read_all()

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(read, info.endpoints))
    assert all(part.schema == info.schema for part in parts)
    assert sorted(pa.concat_tables(parts)["n"].to_pylist()) == list(range(1, 1_000_001))
    with pytest.raises(pa.ArrowKeyError, match="02000"):
        client.do_get(info.endpoints[2].ticket).read_all()


def test_readers_one_after_the_other_get_all(client):
    info = announced(client, MILLION)
    # All are open before the first is read, the last first.
    readers = [client.do_get(endpoint.ticket) for endpoint in reversed(info.endpoints)]
    parts = [reader.read_all() for reader in reversed(readers)]
    assert sum(part.num_rows for part in parts) == 1_000_000


def test_rows_in_order_have_one_endpoint(client):
    for sql in [
        "SELECT value AS n FROM generate_series(1, 10) ORDER BY n DESC",
        "SELECT value % 3 AS m FROM generate_series(1, 10) ORDER BY value LIMIT 3",
        "SELECT * FROM (SELECT value AS n FROM generate_series(1, 10) ORDER BY n LIMIT 3) AS few",
        "SELECT DISTINCT ON (value % 3) value AS n FROM generate_series(1, 10) ORDER BY value % 3",
    ]:
        assert len(announced(client, sql).endpoints) == 1
    assert len(announced(client, "SELECT 1 AS n").endpoints) == 4
    set_endpoints(client, 1)
    assert len(announced(client, "SELECT 1 AS n").endpoints) == 1


@pytest.mark.parametrize("count", [0, 65, -1, "many", ""])
def test_other_counts_are_refused(client, count):
    assert b"endpoints" in set_endpoints(client, count)
    assert len(announced(client, "SELECT 1 AS n").endpoints) == 4


def test_an_error_is_one_for_each_reader(client):
    info = announced(client, "SELECT 1000 / (value - 500000) AS n FROM generate_series(1, 1000000)")
    for endpoint in info.endpoints:
        with pytest.raises(pa.ArrowInvalid, match="22012"):
            client.do_get(endpoint.ticket).read_all()


def test_cancelled_rows_are_gone(client):
    endless = "SELECT a.value FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b"
    info = announced(client, endless)
    first = client.do_get(info.endpoints[0].ticket)
    first.read_chunk()
    request = field(1, info.serialize())
    answers = list(client.do_action(flight.Action("CancelFlightInfo", request)))
    assert answers[0].body.to_pybytes() == b"\x08\x01"
    # Of `read_all` pyarrow would make a Ctrl-C.
    with pytest.raises(flight.FlightCancelledError):
        while True:
            first.read_chunk()
    with pytest.raises(pa.ArrowKeyError):
        client.do_get(info.endpoints[1].ticket).read_all()


def test_a_query_ends_with_its_last_reader(client, cursor):
    endless = "SELECT a.value FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 999999) b"
    info = announced(client, endless)
    reader = client.do_get(info.endpoints[0].ticket)
    reader.read_chunk()
    listed = f"SELECT count(*) FROM sheaf.queries WHERE sql = '{endless}'"
    cursor.execute(listed)
    assert cursor.fetchone() == (1,)
    reader.cancel()
    del reader
    for _ in range(200):
        cursor.execute(listed)
        if cursor.fetchone() == (0,):
            break
        time.sleep(0.05)
    cursor.execute(listed)
    assert cursor.fetchone() == (0,)
    with pytest.raises(flight.FlightCancelledError, match="57014"):
        client.do_get(info.endpoints[1].ticket).read_chunk()


def test_columns_that_were_announced_are_not_taken_for_others(client, cursor, table):
    cursor.execute(f"CREATE TABLE {table} (a INT, b INT)")
    cursor.execute(f"INSERT INTO {table} VALUES (1, 2)")
    info = announced(client, f"SELECT * FROM {table}")
    cursor.execute(f"ALTER TABLE {table} DROP COLUMN b")
    cursor.execute(f"ALTER TABLE {table} ADD COLUMN c TEXT")
    with pytest.raises(pa.ArrowException, match="0A000"):
        client.do_get(info.endpoints[0].ticket).read_all()
    assert client.do_get(announced(client, f"SELECT * FROM {table}").endpoints[0].ticket).read_all().column_names == ["a", "c"]


def test_adbc_reads_all_endpoints(server):
    with server.connect() as connection, connection.cursor() as cursor:
        option = {"adbc.flight.sql.session.option.endpoints": "3"}
        connection.adbc_connection.set_options(**option)
        cursor.execute(MILLION)
        assert cursor.fetch_arrow_table().num_rows == 1_000_000
        cursor.execute("SELECT value AS n FROM generate_series(1, 1000) WHERE value % ? = 0", (10,))
        assert len(cursor.fetchall()) == 100
        cursor.execute("SELECT 1 / 0 AS n FROM generate_series(1, 3)")
        with pytest.raises(adbc_driver_manager.Error, match="22012"):
            cursor.fetchall()
