"""Functions of Python's in SQL."""

from decimal import Decimal

import pytest

import sheafdb


def test_a_function_of_values(con):
    con.create_function("plus", lambda a, b: a + b, ["BIGINT", "BIGINT"], "BIGINT")
    assert con.sql("SELECT plus(1, 2), plus(NULL, 1)").fetchone() == (3, None)
    rel = con.sql("SELECT sum(plus(n, 1)) FROM range(10000) AS t(n) WHERE plus(n, 0) > 5000")
    assert rel.fetchone() == (sum(n + 1 for n in range(5001, 10000)),)


def test_a_function_of_columns(con):
    import pyarrow.compute as pc

    con.create_function(
        "double_it", lambda a: pc.multiply(a, 2), ["DOUBLE"], "DOUBLE", vectorized=True
    )
    assert con.sql("SELECT double_it(n) FROM (VALUES (1.5), (NULL)) AS t(n)").fetchall() == [
        (3.0,),
        (None,),
    ]


def test_what_a_function_raises_is_the_cause(con):
    def fail(x):
        raise KeyError("inside")

    con.create_function("fail", fail, ["BIGINT"], "BIGINT")
    with pytest.raises(sheafdb.OperationalError, match="'fail' raised KeyError") as raised:
        con.sql("SELECT fail(n) FROM range(3) AS t(n)").fetchall()
    assert isinstance(raised.value.__cause__, KeyError)
    assert raised.value.sqlstate == "38000"
    assert con.sql("SELECT 1").fetchone() == (1,)


def test_wrong_results_are_refused(con):
    import pyarrow as pa

    con.create_function("short", lambda a: pa.array([1]), ["BIGINT"], "BIGINT", vectorized=True)
    with pytest.raises(sheafdb.OperationalError, match="1 values for 3 rows"):
        con.sql("SELECT short(n) FROM range(3) AS t(n)").fetchall()
    con.create_function("text", lambda a: "x", ["BIGINT"], "BIGINT")
    with pytest.raises(sheafdb.OperationalError):
        con.sql("SELECT text(n) FROM range(3) AS t(n)").fetchall()
    con.create_function("half", lambda a: a / 2, ["BIGINT"], "BIGINT")
    assert con.sql("SELECT half(4)").fetchone() == (2,)
    with pytest.raises(sheafdb.OperationalError, match="with a fraction, not a bigint"):
        con.sql("SELECT half(3)").fetchone()
    con.create_function("part", lambda a: Decimal(a) / 2, ["BIGINT"], "BIGINT")
    assert con.sql("SELECT part(4)").fetchone() == (2,)
    with pytest.raises(sheafdb.OperationalError, match="with a fraction"):
        con.sql("SELECT part(3)").fetchone()
    con.create_function("minus", lambda a: a * -1.0, ["BIGINT"], "BIGINT")
    assert con.sql("SELECT minus(0)").fetchone() == (0,)
    with pytest.raises(sheafdb.DatabaseError):
        con.create_function("f", len, ["NOTYPE"], "BIGINT")


def test_functions_are_the_sessions(con):
    con.create_function("one", lambda: 1, [], "BIGINT", pure=False)
    assert con.sql("SELECT one() FROM range(2)").fetchall() == [(1,), (1,)]
    with pytest.raises(sheafdb.ProgrammingError, match="one"):
        con.duplicate().sql("SELECT one()").fetchall()


def test_functions_may_ask_the_database(con):
    con.sql("CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one')")
    table = con.table("t")
    con.create_function("lookup", lambda k: table.get(k)["v"], ["BIGINT"], "TEXT")
    con.create_function("counted", lambda k: len(con.table("t")) + k, ["BIGINT"], "BIGINT")
    assert con.sql("SELECT lookup(n), counted(n) FROM range(1, 2) AS t(n)").fetchone() == ("one", 2)
    con.execute("RESET ALL")
    assert con.sql("SELECT lookup(1)").fetchone() == ("one",)
