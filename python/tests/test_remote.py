"""A database that a server has."""

import pytest

import sheafdb


def test_the_same_calls_reach_a_server(address):
    with sheafdb.connect(address) as con:
        assert con.sql("CREATE TABLE t (n BIGINT PRIMARY KEY, s TEXT)") is None
        assert con.table("t").append({"n": [1, 2], "s": ["a", "b"]}) == 2
        assert con.table("t").upsert({"n": [2, 3], "s": ["z", "c"]}, key="n") == 2
        rel = con.sql("SELECT * FROM t WHERE n > $least ORDER BY n", {"least": 1})
        assert rel.fetchall() == [(2, "z"), (3, "c")]
        assert rel.fetchone() == (2, "z")
        assert rel.arrow().num_rows == 2 and len(rel.df()) == 2 and rel.pl().height == 2
        assert rel.fetchmany(5) == [(3, "c")] and rel.fetchnumpy()["n"].tolist() == [2, 3]
        assert "2 rows" in repr(rel) and "<td>z</td>" in rel._repr_html_()
        # Streams outlive what they are made from.
        import polars as pl
        import pyarrow as pa

        assert pa.table(rel).num_rows == 2 and pl.DataFrame(rel).height == 2
        assert con.execute("SELECT * FROM t").reader().read_all().num_rows == 3
        assert sheafdb.sql("SELECT sum(n) FROM rel").fetchone() == (5,)
        assert con.table("t").delete("n = 1") == 1 and len(con.table("t")) == 2
        con.execute("SET statement_timeout = '7 s'").close()
        assert con.sql("SHOW statement_timeout").fetchall()[0][-1] == "7 s"
        con.sql("CREATE TEMPORARY TABLE mine AS SELECT 1 AS n")
        assert len(con.table("mine")) == 1
        with pytest.raises(sheafdb.NotSupportedError):
            con.rollback()
        con.close()
    with pytest.raises(sheafdb.ProgrammingError, match="no option 'durability'"):
        sheafdb.connect(address, durability="none")
    with pytest.raises(Exception, match="(?i)connect|unavailable|refused"):
        with sheafdb.connect("flight://127.0.0.1:1") as con:
            con.sql("SELECT 1").fetchall()


def test_cursors_are_as_those_of_a_folder(address):
    with sheafdb.connect(address) as con:
        cursor = con.execute("CREATE TABLE c (n BIGINT PRIMARY KEY); INSERT INTO c VALUES (1), (2)")
        assert cursor.rowcount == 2 and cursor.description is None
        assert con.executemany("INSERT INTO c VALUES (?)", [(3,), (4,)]).rowcount == 2
        assert con.execute("UPDATE c SET n = n + 10 WHERE n > ?", (2,)).rowcount == 2
        assert con.execute("DELETE FROM c WHERE n = 1 RETURNING n").fetchall() == [(1,)]
        cursor = con.execute("SELECT n FROM c ORDER BY n")
        assert cursor.description[0][:2] == ("n", "bigint")
        assert cursor.fetchone() == (2,) and cursor.fetchmany(5) == [(13,), (14,)]
        with pytest.raises(sheafdb.IntegrityError) as duplicate:
            con.execute("INSERT INTO c VALUES (13)")
        assert duplicate.value.sqlstate == "23505"
        with pytest.raises(sheafdb.DataError):
            con.sql("SELECT 1 / (n - 2) FROM c").fetchall()
        with pytest.raises(sheafdb.ProgrammingError, match="no_such"):
            con.sql("SELECT * FROM no_such").fetchall()
        with pytest.raises(sheafdb.ProgrammingError, match="one statement"):
            con.execute("SELECT 1; SELECT ?", (1,))
    with pytest.raises(sheafdb.ProgrammingError, match="closed"):
        con.execute("SELECT 1")
