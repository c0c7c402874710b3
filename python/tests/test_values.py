"""Values: out of results, in as parameters, and back."""

import datetime as dt
import decimal
import enum
import math
import uuid
import zoneinfo

import numpy as np
import pyarrow as pa
import pytest

import sheafdb

D = decimal.Decimal
UTC = dt.timezone.utc

#: What SQL says, and what Python gets.
LITERALS = [
    ("NULL", None),
    ("true", True),
    ("1::SMALLINT", 1),
    ("9223372036854775807", 2**63 - 1),
    ("1.5::REAL", 1.5),
    ("0.1::DOUBLE PRECISION", 0.1),
    ("'NaN'::DOUBLE PRECISION", math.nan),
    ("12.340::DECIMAL(10,3)", D("12.340")),
    ("-0.01::DECIMAL(3,2)", D("-0.01")),
    ("'ä\n€'", "ä\n€"),
    ("'\\x00ff'::BYTEA", b"\x00\xff"),
    (
        "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID",
        uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    ),
    ("DATE '1969-12-31'", dt.date(1969, 12, 31)),
    ("TIME '23:59:59.000001'", dt.time(23, 59, 59, 1)),
    ("TIMESTAMP '1960-02-29 01:02:03.000004'", dt.datetime(1960, 2, 29, 1, 2, 3, 4)),
    ("TIMESTAMPTZ '2026-01-01 00:00:00+02'", dt.datetime(2025, 12, 31, 22, tzinfo=UTC)),
    ("INTERVAL '1 month 2 days 3 seconds'", dt.timedelta(days=32, seconds=3)),
    ("[1, NULL, 3]", [1, None, 3]),
    ("[['a'], []]", [["a"], []]),
    ("'[1, 2.5]'::VECTOR(2)", [1.0, 2.5]),
    ("named_struct('a', 1, 'b', 'x')", {"a": 1, "b": "x"}),
]


@pytest.mark.parametrize("sql, value", LITERALS, ids=[sql for sql, _ in LITERALS])
def test_literals_become_objects(con, sql, value):
    (found,) = con.sql(f"SELECT {sql}").fetchone()
    if value != value:
        assert found != found
    else:
        assert found == value and type(found) is type(value)


PARAMETERS = [
    None,
    True,
    -1,
    2**63,
    2**70,
    0.5,
    "text",
    b"bytes",
    D("1.50"),
    D("-0.001"),
    D("1e3"),
    dt.date(2026, 1, 2),
    dt.datetime(1, 1, 1, 0, 0, 0, 1),
    dt.datetime(2026, 1, 1, tzinfo=UTC),
    dt.time(1, 2, 3, 4),
    dt.timedelta(days=-1, seconds=5, microseconds=7),
    uuid.UUID(int=5),
    [1, 2, None],
    [1.5, 2],
    [["a"], None, []],
    {"a": 1, "b": [True]},
]


@pytest.mark.parametrize("value", PARAMETERS, ids=repr)
def test_parameters_come_back(con, value):
    (found,) = con.execute("SELECT ?", (value,)).fetchone()
    assert found == value


def test_parameters_of_a_zone_are_moments(con):
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    moment = dt.datetime(2026, 7, 1, 12, tzinfo=berlin)
    assert con.execute("SELECT ?", (moment,)).fetchone() == (moment,)


def test_numpy_and_enumerations_are_parameters(con):
    import numpy as np

    class Color(enum.Enum):
        RED = "red"

    values = (np.int32(5), np.float32(0.5), np.bool_(True), np.str_("x"), Color.RED)
    assert con.execute("SELECT ?, ?, ?, ?, ?", values).fetchone() == (5, 0.5, True, "x", "red")
    moment = np.datetime64("2026-01-02T03:04:05.000006789")
    assert con.execute("SELECT ?", (moment,)).fetchone() == (dt.datetime(2026, 1, 2, 3, 4, 5, 6),)
    assert con.execute("SELECT ?", (np.array([1.0, 2.0]),)).fetchone() == ([1.0, 2.0],)


def test_parameters_have_names_or_numbers(con):
    assert con.execute("SELECT $b, $a, $b", {"a": 1, "b": 2}).fetchone() == (2, 1, 2)
    assert con.execute("SELECT $2, $1", [1, 2]).fetchone() == (2, 1)
    assert con.execute("SELECT '$a ?', $a -- $b\n", {"a": 1}).fetchone() == ("$a ?", 1)
    for params, message in [
        ({"a": 1}, "there is no parameter \\$b"),
        ({"a": 1, "b": 2, "c": 3}, "no parameter \\$c"),
    ]:
        with pytest.raises(sheafdb.ProgrammingError, match=message):
            con.execute("SELECT $a, $b", params)
    with pytest.raises(sheafdb.ProgrammingError, match=r"\(value,\)"):
        con.execute("SELECT ?", "text")


def test_what_cannot_be_a_parameter_is_said(con):
    with pytest.raises(TypeError, match="class object cannot be a parameter"):
        con.execute("SELECT ?", (object(),))
    with pytest.raises(TypeError, match="one type, not bigint and text"):
        con.execute("SELECT ?", ([1, "a"],))
    with pytest.raises(OverflowError, match="76 digits"):
        con.execute("SELECT ?", (10**80,))
    with pytest.raises(TypeError, match="not a number"):
        con.execute("SELECT ?", (D("NaN"),))


def test_errors_say_where_and_what_to_do(con):
    con.sql("CREATE TABLE readings (id BIGINT PRIMARY KEY, n SMALLINT NOT NULL)")
    with pytest.raises(sheafdb.ProgrammingError) as raised:
        con.sql("SELECT *\nFROM reading").fetchall()
    error = raised.value
    assert error.sqlstate == "42P01" and error.position == (2, 6)
    assert error.hint == "did you mean 'readings'?" and "did you mean" in str(error)
    for sql, kind, sqlstate in [
        ("SELEC 1", sheafdb.ProgrammingError, "42601"),
        ("SELECT 1/0", sheafdb.DataError, "22012"),
        ("SELECT 'x'::BIGINT", sheafdb.DataError, "22P02"),
        ("INSERT INTO readings VALUES (1, NULL)", sheafdb.IntegrityError, "23502"),
        ("BEGIN", sheafdb.NotSupportedError, "0A000"),
    ]:
        with pytest.raises(kind) as raised:
            con.execute(sql).fetchall()
        assert raised.value.sqlstate == sqlstate
        assert isinstance(raised.value, sheafdb.DatabaseError)
    con.sql("INSERT INTO readings VALUES (1, 1)")
    with pytest.raises(sheafdb.IntegrityError):
        con.sql("INSERT INTO readings VALUES (1, 2)")


def test_large_texts_pass(con):
    text = "x" * 50_000_000
    assert con.execute("SELECT length(?)", (text,)).fetchone() == (len(text),)
    assert con.execute("SELECT ?", (text,)).fetchone() == (text,)


def test_many_columns_pass(con):
    import pyarrow

    wide = pyarrow.table({f"c{i}": [i] for i in range(2_000)})
    con.register("wide", wide)
    assert con.sql("SELECT c7, c1999 FROM wide").fetchone() == (7, 1999)
    assert len(con.sql("FROM wide").fetchone()) == 2_000


def test_odd_values_are_refused_and_nothing_breaks(con):
    assert con.execute("SELECT ?", ({},)).fetchone() == ({},)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    itself = []
    itself.append(itself)
    for value in (deep, itself):
        with pytest.raises(RecursionError):
            con.execute("SELECT ?", (value,))
    with pytest.raises(TypeError, match="zone"):
        con.execute("SELECT ?", (dt.time(1, tzinfo=UTC),))
    with pytest.raises(sheafdb.ProgrammingError, match="1 parameters, and 2 are given"):
        con.execute("SELECT ?", (1, 2))
    with pytest.raises(sheafdb.ProgrammingError, match="2 parameters, and 1 are given"):
        con.execute("SELECT ?, ?", (1,))


def test_nested_values_of_a_slice_are_those_of_its_rows(con):
    sql = (
        "SELECT n, [n, n + 1] AS l, map(['k' || n], [n]) AS m, [n, n]::VECTOR(2) AS v "
        "FROM range(20) AS t(n) ORDER BY n"
    )
    with con.execute(sql) as cursor:
        taken = cursor.fetchmany(7) + cursor.fetchmany(7) + cursor.fetchall()
    expected = [(n, [n, n + 1], {f"k{n}": n}, [float(n), float(n)]) for n in range(20)]
    assert taken == expected
    # The rows of a batch from some row on.
    rows = con.sql(sql)._collect()
    assert rows.rows(5, 3) == expected[5:8] and rows.rows(19) == expected[19:]


def test_values_of_more_than_two_gibibytes_are_refused(con):
    con.sql("CREATE TABLE b (b BYTEA)")
    long = bytes(2**31)
    offsets = pa.py_buffer(np.array([0, len(long)], dtype="int64"))
    rows = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(long)])
    with pytest.raises(sheafdb.OperationalError, match="2147483647 bytes at most"):
        con.sql("SELECT ? AS b", [long]).fetchone()
    with pytest.raises(sheafdb.OperationalError, match="2147483647 bytes at most"):
        con.table("b").append([{"b": long}])
    with pytest.raises(sheafdb.OperationalError, match="column 'b': a value has 2147483647 bytes"):
        con.table("b").append(pa.table({"b": rows}))
    assert con.sql("SELECT count(*) FROM b").fetchone() == (0,)
