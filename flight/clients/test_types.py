"""Every type that a table can have, by every way in and out."""

import datetime
import decimal
import uuid

import pyarrow as pa
import pytest

D = decimal.Decimal
NANO = pa.MonthDayNano

# SQL's name, how it comes out, values, and the first of them as SQL.
TYPES = [
    ("BOOLEAN", pa.bool_(), [True, False], "true"),
    ("SMALLINT", pa.int16(), [-(2**15), 2**15 - 1], "-32768"),
    ("INTEGER", pa.int32(), [-(2**31), 2**31 - 1], "-2147483648"),
    ("BIGINT", pa.int64(), [-(2**63), 2**63 - 1], "-9223372036854775808"),
    ("REAL", pa.float32(), [1.5, -0.0, float("inf")], "1.5"),
    ("DOUBLE PRECISION", pa.float64(), [5e-324, float("-inf"), 1.7976931348623157e308], "5e-324"),
    ("DECIMAL(9, 2)", pa.decimal128(9, 2), [D("9999999.99"), D("-0.01")], "9999999.99"),
    ("DECIMAL(38, 0)", pa.decimal128(38, 0), [D(10**38 - 1), D(1 - 10**38)], "'" + "9" * 38 + "'"),
    ("DECIMAL(38, 38)", pa.decimal128(38, 38), [D("0." + "9" * 38)], "'0." + "9" * 38 + "'"),
    ("TEXT", pa.string(), ["x", "", "zwölf Zeichen und mehr ✓" * 9], "'x'"),
    ("BYTEA", pa.binary(), [b"\x00\xff", b"", bytes(range(256))], "X'00ff'"),
    ("UUID", pa.uuid(), [uuid.UUID(int=2**127 + 5)], "'80000000-0000-0000-0000-000000000005'"),
    (
        "DATE",
        pa.date32(),
        [datetime.date(2026, 2, 28), datetime.date(1, 1, 1), datetime.date(9999, 12, 31)],
        "'2026-02-28'",
    ),
    (
        "TIME",
        pa.time64("us"),
        [datetime.time(23, 59, 59, 999999), datetime.time(0)],
        "'23:59:59.999999'",
    ),
    (
        "TIMESTAMP",
        pa.timestamp("us"),
        [datetime.datetime(2026, 1, 2, 3, 4, 5, 6), datetime.datetime(1969, 12, 31)],
        "'2026-01-02 03:04:05.000006'",
    ),
    (
        "TIMESTAMPTZ",
        pa.timestamp("us", "UTC"),
        [datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.timezone.utc)],
        "'2026-01-02 05:00:00+02:00'",
    ),
    ("INTERVAL", pa.month_day_nano_interval(), [NANO([14, -3, 5000]), NANO([0, 0, 0])], None),
    ("VECTOR(3)", pa.list_(pa.float32(), 3), [[1.0, 0.5, -2.0]], "'[1, 0.5, -2]'"),
    ("HALFVEC(2)", pa.list_(pa.float16(), 2), [[1.0, 0.5]], "'[1, 0.5]'"),
    ("BIGINT[]", pa.list_(pa.int64()), [[1, None, 3], []], "[1, NULL, 3]"),
    ("TEXT[]", pa.list_(pa.string()), [["a", ""], [], [None]], "['a', '']"),
]
ids = [name for name, *_ in TYPES]


def column_of(cursor, sql):
    cursor.execute(sql)
    rows = cursor.fetch_arrow_table()
    return rows.column(0).combine_chunks()


def plain(array):
    """The values, where an extension's storage counts for itself."""
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def same(found, expected, announced):
    assert storage(found.type) == storage(announced), found.type
    assert plain(found).to_pylist() == plain(expected).to_pylist()


def storage(type):
    return type.storage_type if isinstance(type, pa.BaseExtensionType) else unnamed(type)


def unnamed(type):
    """A list by the type of its values alone, whatever they are called."""
    if pa.types.is_fixed_size_list(type):
        return pa.list_(type.value_type, type.list_size)
    return pa.list_(type.value_type) if pa.types.is_list(type) else type


def array_of(values, type):
    if isinstance(type, pa.BaseExtensionType):
        return pa.array([v and v.bytes for v in values], type.storage_type)
    if type == pa.list_(pa.float16(), 2):
        flat = pa.array([x for v in values for x in v or [None, None]], pa.float32())
        mask = pa.array([v is None for v in values], pa.bool_())
        return pa.FixedSizeListArray.from_arrays(flat.cast(pa.float16()), 2, mask=mask)
    return pa.array(values, type)


@pytest.fixture
def typed(cursor, table, request):
    """A table with a column of the type."""
    sql = request.node.callspec.params["sql"]
    cursor.execute(f"CREATE TABLE {table} (k INTEGER PRIMARY KEY, v {sql})")
    return table


@pytest.mark.parametrize("sql, type, values, literal", TYPES, ids=ids)
class TestMatrix:
    def test_ingested(self, cursor, typed, sql, type, values, literal):
        expected = array_of([*values, None], type)
        rows = pa.table({"k": pa.array(range(len(expected)), pa.int32()), "v": expected})
        assert cursor.adbc_ingest(typed, rows, mode="append") == len(expected)
        same(column_of(cursor, f"SELECT v FROM {typed} ORDER BY k"), expected, type)
        nulls = column_of(cursor, f"SELECT v FROM {typed} WHERE v IS NULL")
        same(nulls, array_of([None], type), type)
        same(column_of(cursor, f"SELECT v FROM {typed} WHERE k < 0"), array_of([], type), type)

    def test_ingested_as_a_new_table(self, cursor, typed, sql, type, values, literal):
        expected = array_of([None, *values], type)
        assert cursor.adbc_ingest(typed, pa.table({"v": expected}), mode="replace")
        same(column_of(cursor, f"SELECT v FROM {typed}"), expected, type)

    def test_parameters(self, cursor, typed, sql, type, values, literal):
        expected = array_of([*values, None], type)
        keys = pa.array(range(len(expected)), pa.int32())
        cursor.adbc_statement.set_sql_query(f"INSERT INTO {typed} VALUES (?, ?)")
        cursor.adbc_statement.prepare()
        cursor.adbc_statement.bind(pa.record_batch([keys, expected], names=["1", "2"]))
        assert cursor.adbc_statement.execute_update() == len(expected)
        same(column_of(cursor, f"SELECT v FROM {typed} ORDER BY k"), expected, type)

    def test_a_parameter_comes_back(self, cursor, typed, sql, type, values, literal):
        cursor.adbc_statement.set_sql_query(f"SELECT CAST(? AS {sql}) AS v")
        cursor.adbc_statement.prepare()
        cursor.adbc_statement.bind(pa.record_batch([array_of(values[:1], type)], names=["1"]))
        stream, _ = cursor.adbc_statement.execute_query()
        found = pa.RecordBatchReader._import_from_c(stream.address).read_all()["v"]
        same(found.combine_chunks(), array_of(values[:1], type), type)

    def test_a_literal(self, cursor, typed, sql, type, values, literal):
        if literal is None:
            literal = "'1 year 2 mons -3 days 5 microseconds'"
        cursor.execute(f"INSERT INTO {typed} VALUES (1, {literal})")
        found = column_of(cursor, f"SELECT v FROM {typed}")
        same(found, array_of(values[:1], type), type)


# Other forms of the same values, and the column that they go into.
FORMS = {
    "large text": (pa.array(["a", None], pa.large_string()), "TEXT", ["a", None]),
    "views of text": (pa.array(["a", None], pa.string_view()), "TEXT", ["a", None]),
    "a dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), "TEXT", ["a", None, "a"]),
    "large bytes": (pa.array([b"a"], pa.large_binary()), "BYTEA", [b"a"]),
    "views of bytes": (pa.array([b"a"], pa.binary_view()), "BYTEA", [b"a"]),
    "bytes of one length": (pa.array([b"ab"], pa.binary(2)), "BYTEA", [b"ab"]),
    "large lists": (pa.array([[1], None], pa.large_list(pa.int64())), "BIGINT[]", [[1], None]),
    "a small integer": (pa.array([-5], pa.int8()), "BIGINT", [-5]),
    "an unsigned integer": (pa.array([2**32 - 1], pa.uint32()), "BIGINT", [2**32 - 1]),
    "a large unsigned integer": (pa.array([2**63 - 1], pa.uint64()), "BIGINT", [2**63 - 1]),
    "half a float": (pa.array([1.5], pa.float32()).cast(pa.float16()), "REAL", [1.5]),
    "a small decimal": (pa.array([D("1.25")], pa.decimal32(5, 2)), "DECIMAL(9, 2)", [D("1.25")]),
    "a middle decimal": (pa.array([D("1.25")], pa.decimal64(12, 2)), "DECIMAL(12, 2)", [D("1.25")]),
    "a wide decimal": (pa.array([D("1.25")], pa.decimal256(50, 2)), "DECIMAL(38, 2)", [D("1.25")]),
    "seconds": (
        pa.array([1], pa.timestamp("s")),
        "TIMESTAMP",
        [datetime.datetime(1970, 1, 1, 0, 0, 1)],
    ),
    "a zone": (
        pa.array([0], pa.timestamp("ms", "Europe/Berlin")),
        "TIMESTAMPTZ",
        [datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)],
    ),
    "milliseconds of days": (pa.array([86_400_000], pa.date64()), "DATE", [datetime.date(1970, 1, 2)]),
    "seconds of a day": (pa.array([61], pa.time32("s")), "TIME", [datetime.time(0, 1, 1)]),
    "nothing": (pa.nulls(2), "TEXT", [None, None]),
}


@pytest.mark.parametrize("rows, sql, values", FORMS.values(), ids=FORMS)
def test_other_forms_are_taken(cursor, table, rows, sql, values):
    cursor.execute(f"CREATE TABLE {table} (v {sql})")
    cursor.adbc_ingest(table, pa.table({"v": rows}), mode="append")
    assert column_of(cursor, f"SELECT v FROM {table}").to_pylist() == values
    if rows.type != pa.null():
        cursor.adbc_ingest(table, pa.table({"v": rows}), mode="replace")
        assert column_of(cursor, f"SELECT v FROM {table}").to_pylist() == values


@pytest.mark.parametrize(
    "rows, sql",
    [
        (pa.array([2**63], pa.uint64()), "BIGINT"),
        (pa.array([2**15], pa.int32()), "SMALLINT"),
        (pa.array([D("12.25")], pa.decimal128(9, 2)), "DECIMAL(3, 2)"),
        (pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2)), "VECTOR(3)"),
        (pa.array(["x"]), "BIGINT"),
        (pa.array([b"\xff"]), "TEXT"),
    ],
    ids=["unsigned", "narrow", "digits", "dimensions", "words", "no text"],
)
def test_what_does_not_fit_is_refused(cursor, table, rows, sql):
    cursor.execute(f"CREATE TABLE {table} (v {sql})")
    with pytest.raises(Exception, match="'v'|column v"):
        cursor.adbc_ingest(table, pa.table({"v": rows}), mode="append")
    assert column_of(cursor, f"SELECT count(*) FROM {table}").to_pylist() == [0]


def test_values_in_values(cursor):
    """What no column has, and results may."""
    found = column_of(cursor, "SELECT named_struct('a', 1, 'b', ['x', NULL]) AS s")
    assert found.to_pylist() == [{"a": 1, "b": ["x", None]}]
    assert column_of(cursor, "SELECT [[1], [], NULL] AS l").to_pylist() == [[[1], [], None]]
    assert column_of(cursor, "SELECT map(['a'], [1]) AS m").to_pylist() == [[("a", 1)]]
    assert column_of(cursor, "SELECT NULL AS n").to_pylist() == [None]
