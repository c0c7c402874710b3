"""Other query engines: DataFusion, which reads relations where they are, and ibis, whose SQL the
database runs."""

import datafusion
import ibis
import pyarrow as pa
import pytest

import sheafdb


@pytest.fixture
def readings(con):
    con.sql("CREATE TABLE readings (n BIGINT PRIMARY KEY, station TEXT, celsius DOUBLE)")
    con.sql(
        "INSERT INTO readings SELECT n, 's' || n % 3, "
        "CASE WHEN n % 10 = 0 THEN NULL ELSE n / 2.0 END FROM range(1000) AS t(n)"
    )
    return con.table("readings")


def rows(ctx, sql):
    return [tuple(row.values()) for row in pa.table(ctx.sql(sql)).to_pylist()]


def test_datafusion_reads_a_table(con, readings):
    ctx = datafusion.SessionContext()
    ctx.register_table("readings", readings)
    assert rows(ctx, "SELECT count(*), count(celsius), sum(n) FROM readings") == [
        (1000, 900, 499500)
    ]
    asked = "SELECT n, station FROM readings WHERE n IN (5, 7) OR celsius > 499 ORDER BY n"
    assert rows(ctx, asked) == [(5, "s2"), (7, "s1"), (999, "s0")]
    # Functions of the other side are worked out there.
    assert rows(ctx, "SELECT max(n) FROM readings WHERE upper(station) = 'S1'") == [(997,)]
    assert len(rows(ctx, "SELECT n FROM readings LIMIT 7")) == 7
    # Each query sees the newest rows.
    con.sql("DELETE FROM readings WHERE n >= 10")
    assert rows(ctx, "SELECT count(*) FROM readings") == [(10,)]
    # A join of both sides.
    ctx.from_arrow(pa.table({"n": [3, 4, 500]}), name="wanted")
    assert rows(ctx, "SELECT sum(celsius) FROM readings JOIN wanted USING (n)") == [(3.5,)]


def test_datafusion_reads_queries_and_frames(con, readings):
    frame = pa.table({"n": [1, 2], "name": ["a", "b"]})
    joined = con.sql("SELECT name, celsius FROM readings JOIN frame USING (n) WHERE n >= $1", [1])
    ctx = datafusion.SessionContext()
    ctx.register_table("joined", joined)
    assert rows(ctx, "SELECT name, celsius FROM joined ORDER BY name") == [("a", 0.5), ("b", 1.0)]
    # What a statement gave that is not a query is there too.
    ctx.register_table("settings", con.sql("SHOW TABLES"))
    assert len(rows(ctx, "SELECT * FROM settings")) == 1


def test_a_mounted_table_keeps_its_database(tmp_path):
    with sheafdb.connect(tmp_path / "db") as con:
        con.sql("CREATE TABLE t AS SELECT 1 AS n")
    ctx = datafusion.SessionContext()
    ctx.register_table("t", sheafdb.connect(tmp_path / "db").table("t"))
    with sheafdb.connect(tmp_path / "db") as con:
        con.sql("INSERT INTO t VALUES (2)")
        assert rows(ctx, "SELECT sum(n) FROM t") == [(3,)]
        ctx.register_table("closed", con.table("t"))
    with pytest.raises(Exception, match="the connection is closed"):
        rows(ctx, "SELECT n FROM closed")


def test_what_cannot_be_mounted_says_so(con, readings):
    ctx = datafusion.SessionContext()
    with pytest.raises(sheafdb.Error, match="several columns of the query are named 'n'"):
        ctx.register_table("twice", con.sql("SELECT a.n, b.n FROM readings a, readings b"))
    ctx.register_table("readings", readings)
    con.sql("ALTER TABLE readings DROP COLUMN station")
    with pytest.raises(Exception, match="no longer what they were"):
        rows(ctx, "SELECT count(*) FROM readings")
    con.sql("DROP TABLE readings")
    with pytest.raises(Exception, match="readings"):
        rows(ctx, "SELECT n FROM readings")


def test_ibis_says_what_the_database_runs(con, readings):
    table = ibis.table(ibis.Schema.from_pyarrow(pa.schema(readings.rel())), name="readings")
    warmest = (
        table.filter(table.n < 100)
        .group_by("station")
        .aggregate(warmest=table.celsius.max(), rows=ibis._.count())
        .order_by(ibis.desc("warmest"))
    )
    sql = ibis.to_sql(warmest, dialect="postgres")
    assert con.sql(str(sql)).fetchall() == [("s0", 49.5, 34), ("s2", 49.0, 33), ("s1", 48.5, 33)]
