"""PEP 249, as far as there are transactions."""

import datetime as dt

import pytest

import sheafdb


def test_the_module_says_what_it_is():
    assert sheafdb.apilevel == "2.0"
    assert sheafdb.paramstyle == "qmark"
    assert sheafdb.threadsafety == 2
    assert issubclass(sheafdb.IntegrityError, sheafdb.DatabaseError)
    assert issubclass(sheafdb.DatabaseError, sheafdb.Error)
    assert issubclass(sheafdb.InterfaceError, sheafdb.Error)
    assert issubclass(sheafdb.Warning, Exception)
    assert sheafdb.Date(2026, 1, 2) == dt.date(2026, 1, 2)
    assert sheafdb.TimestampFromTicks(0) == dt.datetime(1970, 1, 1)
    assert sheafdb.Binary(b"x") == b"x"


def test_a_cursor_runs_and_fetches(con):
    cursor = con.cursor()
    assert cursor.description is None and cursor.rowcount == -1
    cursor.execute("CREATE TABLE t (n BIGINT PRIMARY KEY, s TEXT)")
    cursor.executemany("INSERT INTO t VALUES (?, ?)", [(i, str(i)) for i in range(5)])
    assert cursor.rowcount == 5
    cursor.execute("UPDATE t SET s = 'x' WHERE n > ?", (2,))
    assert cursor.rowcount == 2 and cursor.statusmessage == "UPDATE 2"
    cursor.execute("SELECT n, s FROM t ORDER BY n")
    names = [column[0] for column in cursor.description]
    assert names == ["n", "s"]
    assert cursor.description[0][1] == sheafdb.NUMBER != cursor.description[1][1]
    assert cursor.fetchone() == (0, "0")
    assert cursor.fetchmany() == [(1, "1")]
    cursor.arraysize = 2
    assert cursor.fetchmany() == [(2, "2"), (3, "x")]
    assert cursor.fetchall() == [(4, "x")]
    assert cursor.fetchone() is None and cursor.fetchall() == []
    assert [row for row in con.execute("SELECT n FROM t ORDER BY n")][-1] == (4,)
    cursor.close()
    with pytest.raises(sheafdb.ProgrammingError, match="closed"):
        cursor.execute("SELECT 1")
    assert cursor.connection is con


def test_results_of_cursors_have_all_forms(con):
    import pyarrow

    cursor = con.execute("SELECT n FROM range(3) AS t(n)")
    assert cursor.arrow().to_pydict() == {"n": [0, 1, 2]}
    cursor = con.execute("SELECT n FROM range(3) AS t(n)")
    assert pyarrow.table(cursor).num_rows == 3
    cursor = con.execute("SELECT n FROM range(3) AS t(n)")
    cursor.fetchone()
    with pytest.raises(sheafdb.InterfaceError, match="fetched already"):
        cursor.arrow()


def test_fetching_without_rows_is_an_error(con):
    with pytest.raises(sheafdb.ProgrammingError, match="no rows to fetch"):
        con.cursor().fetchone()
    with pytest.raises(sheafdb.ProgrammingError, match="no rows to fetch"):
        con.execute("CREATE TABLE t (n INT)").fetchall()


def test_every_statement_is_committed_when_it_is_done(con):
    con.sql("CREATE TABLE t (n INT)")
    con.execute("INSERT INTO t VALUES (1)")
    con.commit()
    with pytest.raises(sheafdb.NotSupportedError, match="transactions"):
        con.rollback()
    assert len(con.table("t")) == 1
