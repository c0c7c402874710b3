"""What clients ask before they ask anything else."""

import pyarrow as pa
import pytest
from pyarrow import flight

from protobuf import command, field


@pytest.fixture
def objects(cursor):
    cursor.execute("CREATE SCHEMA told")
    cursor.execute("CREATE TABLE told.cities (id BIGINT, country TEXT, name TEXT, PRIMARY KEY (country, id))")
    cursor.execute("CREATE VIEW told.names AS SELECT name FROM told.cities")
    yield
    cursor.execute("DROP SCHEMA told CASCADE")


def schemas_of(connection, **filters):
    catalogs = connection.adbc_get_objects(**filters).read_all().to_pylist()
    assert [catalog["catalog_name"] for catalog in catalogs] == ["sheaf"]
    return {s["db_schema_name"]: s["db_schema_tables"] for s in catalogs[0]["catalog_db_schemas"]}


def test_08_the_server_says_truly_what_it_is(connection):
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "Sheaf"
    assert info["vendor_version"].startswith("0.")


def test_09_tables_are_found_by_patterns(connection, objects):
    tables = schemas_of(connection, depth="tables", db_schema_filter="tol_")["told"]
    assert {t["table_name"]: t["table_type"] for t in tables} == {"cities": "TABLE", "names": "VIEW"}
    tables = schemas_of(connection, depth="tables", table_name_filter="cit%")["told"]
    assert [t["table_name"] for t in tables] == ["cities"]
    views = schemas_of(connection, depth="tables", table_types_filter=["VIEW"])["told"]
    assert [t["table_name"] for t in views] == ["names"]
    assert set(connection.adbc_get_table_types()) == {"LOCAL TEMPORARY", "SYSTEM TABLE", "TABLE", "VIEW"}


def test_09_columns_and_their_nullability(connection, objects):
    schema = connection.adbc_get_table_schema("cities", db_schema_filter="told")
    assert [(f.name, f.type, f.nullable) for f in schema] == [
        ("id", pa.int64(), False),
        ("country", pa.string(), False),
        ("name", pa.string(), True),
    ]
    assert schema.field("id").metadata[b"ARROW:FLIGHT:SQL:TYPE_NAME"] == b"bigint"
    columns = schemas_of(connection, depth="columns", table_name_filter="cities")["told"][0]
    assert [c["column_name"] for c in columns["table_columns"]] == ["id", "country", "name"]


def test_10_keys(server, objects):
    def fetched(packed):
        client = flight.connect(server.uri)
        info = client.get_flight_info(flight.FlightDescriptor.for_command(packed))
        table = client.do_get(info.endpoints[0].ticket).read_all()
        assert table.schema.equals(info.schema)
        return table

    keys = fetched(command("CommandGetPrimaryKeys", field(3, b"cities")))
    assert keys["column_name"].to_pylist() == ["country", "id"]
    assert keys["key_sequence"].to_pylist() == [1, 2]
    references = fetched(command("CommandGetImportedKeys", field(3, b"cities")))
    assert references.num_rows == 0 and references.schema.field("update_rule").type == pa.uint8()
    types = fetched(command("CommandGetXdbcTypeInfo", b""))
    assert "BIGINT" in types["type_name"].to_pylist()


def test_12_a_connection_keeps_what_is_set(server):
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET durability = 'none'")
        cursor.execute("PREPARE one AS SELECT 1 AS n")
    with server.connect() as other, other.cursor() as cursor:
        cursor.execute("SHOW durability")
        assert cursor.fetchone()[1] == "default"
    with server.connect() as connection:
        with connection.cursor() as cursor:
            cursor.execute("SET durability = 'none'")
            cursor.execute("PREPARE one AS SELECT 1 AS n")
        with connection.cursor() as cursor:
            cursor.execute("SHOW durability")
            assert cursor.fetchone()[1] == "none"
            cursor.execute("EXECUTE one")
            assert cursor.fetchone() == (1,)


def test_12_options_of_a_session(server):
    cookies = {"adbc.flight.sql.rpc.with_cookie_middleware": "true"}
    with server.connect(**cookies) as connection:
        with connection.cursor() as cursor:
            cursor.execute("CREATE SCHEMA optional")
            cursor.execute("CREATE TABLE optional.here (a INT)")
        connection.adbc_current_db_schema = "optional"
        assert connection.adbc_current_db_schema == "optional"
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM here")
            assert cursor.fetchone() == (0,)
            cursor.execute("DROP SCHEMA optional CASCADE")
        with pytest.raises(Exception):
            connection.adbc_current_db_schema = "missing"
