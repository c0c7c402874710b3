"""Bulk ingest through ADBC."""

import adbc_driver_manager
import pyarrow as pa
import pytest


def people(start, count):
    ids = range(start, start + count)
    return pa.table({"id": pa.array(ids, pa.int64()), "name": [f"n{i}" for i in ids]})


def count(cursor, table):
    cursor.execute(f"SELECT count(*), min(id), max(name) FROM {table}")
    return cursor.fetchone()


def test_07_all_modes(cursor, table):
    with pytest.raises(adbc_driver_manager.Error, match=table):
        cursor.adbc_ingest(table, people(0, 1), mode="append")
    assert cursor.adbc_ingest(table, people(0, 5), mode="create") == 5
    with pytest.raises(adbc_driver_manager.Error, match="exists"):
        cursor.adbc_ingest(table, people(0, 5), mode="create")
    assert cursor.adbc_ingest(table, people(5, 1), mode="append") == 1
    assert count(cursor, table) == (6, 0, "n5")
    assert cursor.adbc_ingest(table, people(7, 2), mode="replace") == 2
    assert count(cursor, table) == (2, 7, "n8")
    assert cursor.adbc_ingest(table, people(9, 1), mode="create_append") == 1
    # Of a table without batches the driver sends nothing at all, of one without rows its schema.
    assert cursor.adbc_ingest(table, people(0, 0), mode="create_append") == 0
    no_rows = pa.RecordBatch.from_pydict({"id": pa.array([], pa.int64()), "name": pa.array([], pa.string())})
    assert cursor.adbc_ingest(table, no_rows, mode="create_append") == 0
    assert count(cursor, table) == (3, 7, "n9")
    assert cursor.adbc_ingest(table, no_rows, mode="replace") == 0
    assert count(cursor, table) == (0, None, None)


def test_07_a_stream_is_one_commit(cursor, table):
    schema = people(0, 1).schema
    batches = (people(i * 10_000, 10_000).to_batches()[0] for i in range(100))
    reader = pa.RecordBatchReader.from_batches(schema, batches)
    assert cursor.adbc_ingest(table, reader, mode="create") == 1_000_000
    assert count(cursor, table)[0] == 1_000_000


def test_07_what_does_not_fit_is_named_and_leaves_nothing(cursor, table):
    cursor.execute(f"CREATE TABLE {table} (id SMALLINT PRIMARY KEY, name TEXT NOT NULL)")
    for rows, told in [
        (pa.table({"id": [70_000], "name": ["x"]}), "'id'"),
        (pa.table({"id": [1], "name": pa.array([None], pa.string())}), "'name'"),
        (pa.table({"id": [1], "nam": ["x"]}), "'nam'"),
        (people(1, 1).append_column("id2", [[1]]), "'id2'"),
    ]:
        with pytest.raises(adbc_driver_manager.Error, match=told):
            cursor.adbc_ingest(table, rows, mode="append")
    assert count(cursor, table)[0] == 0


def test_07_schema_and_catalog(cursor):
    cursor.execute("CREATE SCHEMA ingested")
    cursor.adbc_ingest("t", people(0, 2), mode="create", db_schema_name="ingested")
    assert count(cursor, "ingested.t")[0] == 2
    with pytest.raises(adbc_driver_manager.Error, match="without a schema"):
        cursor.adbc_ingest("t", people(0, 2), mode="create", temporary=True, db_schema_name="ingested")
    with pytest.raises(adbc_driver_manager.Error, match="catalog"):
        cursor.adbc_ingest("t", people(0, 2), mode="create", catalog_name="elsewhere")
    cursor.execute("DROP SCHEMA ingested CASCADE")


def test_07_temporary_tables_are_the_connections_own(server, cursor, table):
    cursor.execute(f"CREATE TABLE {table} (id BIGINT, name TEXT)")
    with server.connect() as connection, connection.cursor() as other:
        assert other.adbc_ingest(table, people(0, 2), mode="create", temporary=True) == 2
        assert other.adbc_ingest(table, people(2, 3), mode="append", temporary=True) == 3
        # By its name alone the temporary table is meant.
        assert other.adbc_ingest(table, people(5, 1), mode="append") == 1
        assert count(other, table)[0] == 6
        assert count(cursor, table)[0] == 0
        assert (table, "LOCAL TEMPORARY") in [
            (found["table_name"], found["table_type"])
            for catalog in connection.adbc_get_objects(depth="tables").read_all().to_pylist()
            for schema in catalog["catalog_db_schemas"]
            for found in schema["db_schema_tables"]
        ]
    leftover = "SELECT count(*) FROM sheaf.tables WHERE table_schema LIKE '$temporary%'"
    for _ in range(100):
        cursor.execute(leftover)
        if cursor.fetchone() == (0,):
            break
    cursor.execute(leftover)
    assert cursor.fetchone() == (0,)
