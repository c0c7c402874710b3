"""Statements through ADBC: schemas, effects, counts, parameters."""

import datetime
import decimal
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import adbc_driver_flightsql.dbapi as flight_sql
import adbc_driver_manager
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from conftest import Server


def rows(cursor, sql, parameters=None):
    cursor.execute(sql, parameters)
    return cursor.fetchall()


def test_01_announced_and_fetched_schemas_are_equal(cursor, table):
    cursor.execute(f"CREATE TABLE {table} (k BIGINT PRIMARY KEY, name TEXT, v DECIMAL(10, 2))")
    cursor.execute(f"INSERT INTO {table} VALUES (1, 'a', 1.5)")
    for sql in [f"SELECT * FROM {table}", f"SELECT count(*) AS n, max(name) AS m FROM {table}"]:
        announced = cursor.adbc_execute_schema(sql)
        cursor.execute(sql)
        assert cursor.fetch_arrow_table().schema.equals(announced), sql
    assert not cursor.adbc_execute_schema(f"SELECT * FROM {table}").field("k").nullable


def test_02_texts_and_bytes_are_plain(cursor):
    cursor.execute("SELECT 'a' AS t, CAST('b' AS BYTEA) AS b, [CAST('c' AS TEXT)] AS l")
    schema = cursor.fetch_arrow_table().schema
    assert schema.field("t").type == pa.string()
    assert schema.field("b").type == pa.binary()
    assert schema.field("l").type.value_type == pa.string()


def test_03_preparing_runs_nothing(cursor, table):
    cursor.adbc_prepare(f"CREATE TABLE {table} (a INT)")
    with pytest.raises(adbc_driver_manager.Error):
        cursor.execute(f"SELECT * FROM {table}")


def test_04_effects_happen_once_though_nobody_fetches(cursor, table):
    cursor.execute(f"CREATE TABLE {table} (a INT)")
    cursor.execute(f"INSERT INTO {table} VALUES (1)")
    assert rows(cursor, f"SELECT count(*) FROM {table}") == [(1,)]
    assert rows(cursor, f"INSERT INTO {table} VALUES (2) RETURNING a + 1 AS b") == [(3,)]
    assert rows(cursor, f"SELECT count(*) FROM {table}") == [(2,)]


def test_05_updates_give_true_counts(connection, table):
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_sql_query(f"CREATE TABLE {table} (a INT)")
        cursor.adbc_statement.execute_update()
        for sql, count in [
            (f"INSERT INTO {table} VALUES (1), (2), (3)", 3),
            (f"UPDATE {table} SET a = 7 WHERE a > 1", 2),
            (f"DELETE FROM {table}", 3),
        ]:
            cursor.adbc_statement.set_sql_query(sql)
            assert cursor.adbc_statement.execute_update() == count, sql
            cursor.adbc_statement.set_sql_query(f"SELECT count(*) FROM {table}")


@pytest.mark.parametrize("mark", ["?", "$1"])
def test_06_one_parameter(cursor, mark):
    assert rows(cursor, f"SELECT 1 + {mark} AS n", (41,)) == [(42,)]
    assert rows(cursor, f"SELECT {mark} AS t", ("x",)) == [("x",)]


def test_06_parameters_of_every_type(cursor, table):
    cursor.execute(
        f"CREATE TABLE {table} (k INT PRIMARY KEY, b BOOLEAN, i BIGINT, d DOUBLE, t TEXT, "
        "y BYTEA, n DECIMAL(20, 4), at TIMESTAMP, day DATE)"
    )
    row = (
        1,
        True,
        2**60,
        0.1,
        "ü",
        b"\x00\xff",
        decimal.Decimal("12345678.9012"),
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6),
        datetime.date(2026, 1, 2),
    )
    marks = ", ".join("?" for _ in row)
    cursor.execute(f"INSERT INTO {table} VALUES ({marks})", row)
    nulls = (2,) + (None,) * (len(row) - 1)
    cursor.execute(f"INSERT INTO {table} VALUES ({marks})", nulls)
    assert rows(cursor, f"SELECT * FROM {table} ORDER BY k") == [row, nulls]
    assert rows(cursor, f"SELECT k FROM {table} WHERE t = ? AND i > ?", ("ü", 5)) == [(1,)]


def test_06_many_rows_of_parameters(cursor, table):
    cursor.execute(f"CREATE TABLE {table} (k INT PRIMARY KEY, t TEXT)")
    cursor.executemany(f"INSERT INTO {table} VALUES (?, ?)", [(i, f"n{i}") for i in range(50)])
    assert rows(cursor, f"SELECT count(*), min(t) FROM {table}") == [(50, "n0")]
    # A query with several rows of parameters is asked for each of them.
    cursor.adbc_statement.set_sql_query(f"SELECT t FROM {table} WHERE k = ?")
    cursor.adbc_statement.prepare()
    cursor.adbc_statement.bind_stream(pa.table({"k": pa.array([3, 4], pa.int32())}).to_reader())
    stream, _ = cursor.adbc_statement.execute_query()
    found = pa.RecordBatchReader._import_from_c(stream.address).read_all()
    assert found["t"].to_pylist() == ["n3", "n4"]


def test_06_dictionaries_are_values(cursor):
    words = pa.array(["x"]).dictionary_encode()
    cursor.adbc_statement.set_sql_query("SELECT $1 || '!' AS t")
    cursor.adbc_statement.prepare()
    cursor.adbc_statement.bind(pa.record_batch([words], names=["1"]))
    stream, _ = cursor.adbc_statement.execute_query()
    assert pa.RecordBatchReader._import_from_c(stream.address).read_all()["t"].to_pylist() == ["x!"]


def test_06_the_types_of_parameters_are_told(cursor, table):
    cursor.execute(f"CREATE TABLE {table} (k BIGINT PRIMARY KEY, t TEXT)")
    schema = cursor.adbc_prepare(f"SELECT * FROM {table} WHERE k = ? AND t = ?")
    assert [field.type for field in schema] == [pa.int64(), pa.string()]
    assert [field.type for field in cursor.adbc_prepare("SELECT ? AS x")] == [pa.null()]


def test_13_a_closed_cursor_stops_its_query(server, cursor):
    endless = "SELECT a.value FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b"
    with server.connect() as other, other.cursor() as asking:
        asking.execute(endless)
        assert asking.fetchone() is not None
        listed = f"SELECT count(*) FROM sheaf.queries WHERE sql = '{endless}'"
        assert rows(cursor, listed) == [(1,)]
        asking.adbc_cancel()
    for _ in range(100):
        if rows(cursor, listed) == [(0,)]:
            break
    assert rows(cursor, listed) == [(0,)]


def test_15_a_large_result_comes_whole(cursor):
    cursor.execute("SELECT value AS n, 'row ' || value AS t FROM generate_series(1, 1000000)")
    table = cursor.fetch_arrow_table()
    assert (table.num_rows, pc.max(table["n"]).as_py()) == (1_000_000, 1_000_000)
    # One row of more than a message should have.
    cursor.execute("SELECT repeat('x', 5000000) AS t")
    assert len(cursor.fetchone()[0]) == 5_000_000


def test_17_errors_have_a_state_and_a_position(cursor):
    with pytest.raises(adbc_driver_manager.ProgrammingError) as caught:
        cursor.execute("SELECT *\nFROM nothing_here")
    assert "[42P01]" in str(caught.value) and "line 2" in str(caught.value)
    with pytest.raises(adbc_driver_manager.Error, match=r"\[22012\]"):
        cursor.execute("SELECT 1 / 0")
        cursor.fetchall()


def test_11_transactions_are_refused_and_not_faked(server):
    # SqlInfo says that there are none, and the driver tells its user.
    with pytest.warns(Warning, match="Cannot disable autocommit"):
        flight_sql.connect(server.uri).close()
    with server.connect() as connection:
        with pytest.raises(adbc_driver_manager.Error):
            connection.adbc_connection.set_autocommit(False)


# A cursor cannot tell a server that is gone that it is closed.
gone = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@gone
def test_13_a_server_that_is_told_to_end_lets_statements_end(tmp_path):
    server = Server(tmp_path / "db")
    cursor = server.connect().cursor()
    cursor.execute("SELECT value FROM generate_series(1, 5000000)")
    rows = cursor.fetch_record_batch()
    first = rows.read_next_batch().num_rows
    server.process.send_signal(signal.SIGTERM)
    assert first + sum(batch.num_rows for batch in rows) == 5_000_000
    assert server.process.wait(timeout=20) == 0


@gone
def test_13_statements_that_do_not_end_are_cancelled(tmp_path):
    server = Server(tmp_path / "db")
    endless = "SELECT count(*) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b"
    connection = server.connect()
    cursor = connection.cursor()
    with ThreadPoolExecutor() as pool:
        def ask():
            cursor.execute(endless)
            cursor.fetchall()

        asking = pool.submit(ask)
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=30) == 0
        with pytest.raises(adbc_driver_manager.Error, match="57014"):
            asking.result()
