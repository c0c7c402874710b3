"""Tables: append, upsert, delete, get, search."""

import pytest

import sheafdb


@pytest.fixture
def users(con):
    con.sql("CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT, born DATE)")
    return con.table("users")


def test_rows_come_in_many_shapes(con, users):
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    assert users.append({"id": [1], "name": ["Ada"]}) == 1
    assert users.append([{"id": 2, "name": "Alan", "born": "1912-06-23"}, {"id": 3}]) == 2
    assert users.append(pa.table({"name": ["Grace"], "id": [4]})) == 1
    assert users.append(pd.DataFrame({"id": [5], "name": ["Edsger"]})) == 1
    assert users.append(pl.DataFrame({"id": [6], "name": ["Barbara"]})) == 1
    assert users.append(con.sql("SELECT 7 AS id, 'Donald' AS name")) == 1
    assert users.append({}) == 0
    assert len(users) == 7
    assert users.columns == ["id", "name", "born"] and users.primary_key == ["id"]
    names = users.rel().order("id").fetchall()
    assert [row[1] for row in names] == [
        "Ada",
        "Alan",
        None,
        "Grace",
        "Edsger",
        "Barbara",
        "Donald",
    ]


def test_rows_that_do_not_fit_are_refused_whole(users):
    for data, message in [
        ({"id": [1, 1]}, "key"),
        ({"id": [None]}, "NULL"),
        ({"id": [1], "nmae": ["x"]}, "nmae"),
        ({"id": ["one"]}, "id"),
    ]:
        with pytest.raises(sheafdb.DatabaseError, match=message):
            users.append(data)
    with pytest.raises(sheafdb.InterfaceError, match="holds no rows"):
        users.append(5)
    assert len(users) == 0


def test_upserts_replace_what_they_have(users):
    users.append({"id": [1, 2], "name": ["Ada", "Alan"], "born": ["1815-12-10", "1912-06-23"]})
    assert users.upsert({"id": [2, 3], "name": ["Turing", "Grace"]}, key="id") == 2
    assert users.get(2)["name"] == "Turing" and users.get(2)["born"].year == 1912
    assert users.get(3) == {"id": 3, "name": "Grace", "born": None}
    with pytest.raises(sheafdb.ProgrammingError, match="the key of users is id"):
        users.upsert({"id": [1]}, key="name")
    with pytest.raises(sheafdb.ProgrammingError, match="no column 'nmae'"):
        users.upsert({"id": [1], "nmae": ["x"]})
    assert users.upsert({"id": [1, 9]}) in (1, 2), "keys alone are added"
    assert users.get(9) == {"id": 9, "name": None, "born": None}


def test_rows_go_and_change_by_condition(users):
    users.append({"id": list(range(10)), "name": [str(i) for i in range(10)]})
    assert users.delete("id >= $1", (5,)) == 5
    assert users.update({"name": "x"}, "id < $1", (2,)) == 2
    assert [row[1] for row in users.rel().order("id").fetchall()] == ["x", "x", "2", "3", "4"]
    assert users.delete("true") == 5 and len(users) == 0


def test_rows_are_got_by_their_keys(con, users):
    users.append({"id": [1], "name": ["Ada"]})
    assert users.get(1) == {"id": 1, "name": "Ada", "born": None}
    assert users.get(2) is None
    con.sql("ALTER TABLE users ADD COLUMN city TEXT DEFAULT 'Paris'")
    assert users.get(1)["city"] == "Paris"
    con.sql("CREATE TABLE pairs (a TEXT, b BIGINT, v DOUBLE PRECISION, PRIMARY KEY (a, b))")
    pairs = con.table("pairs")
    pairs.append({"a": ["x", "x"], "b": [1, 2], "v": [0.5, 1.5]})
    assert pairs.get(("x", 2)) == {"a": "x", "b": 2, "v": 1.5}
    with pytest.raises(sheafdb.ProgrammingError, match="the key of pairs is a, b"):
        pairs.get("x")
    con.sql("CREATE TABLE plain (n INT)")
    with pytest.raises(sheafdb.ProgrammingError, match="no primary key"):
        con.table("plain").get(1)


def test_names_have_schemas_and_quotes(con):
    con.sql('CREATE SCHEMA hr; CREATE TABLE hr."Staff" (id BIGINT)')
    staff = con.table('hr."Staff"')
    assert staff.append({"id": [1, 2]}) == 2 and len(staff) == 2
    assert "2 rows" in repr(staff)
    with pytest.raises(sheafdb.ProgrammingError, match="not found"):
        con.table("nothing").append({"id": [1]})


def test_neighbours_are_found(con):
    con.sql("CREATE TABLE docs (id BIGINT PRIMARY KEY, tag TEXT, e VECTOR(2))")
    docs = con.table("docs")
    docs.append(
        {"id": [1, 2, 3], "tag": ["a", "b", "a"], "e": [[0.0, 0.0], [1.0, 0.0], [3.0, 4.0]]}
    )
    near = docs.search([0.0, 0.1], k=2)
    assert [row[0] for row in near.fetchall()] == [1, 2]
    assert near.columns == ["id", "tag", "e", "distance"]
    assert docs.search([0, 0], where="tag = $1", params=("a",)).fetchall()[1][3] == pytest.approx(5)
    assert docs.search([3, 4], k=1, metric="cosine").fetchone()[0] == 3
    assert docs.search([1, 1], k=1, metric="ip").fetchone()[0] == 3
    import numpy as np

    assert docs.search(np.array([3, 4], dtype="float32"), 1).fetchone()[0] == 3
    with pytest.raises(sheafdb.ProgrammingError, match="metrics are"):
        docs.search([0, 0], metric="hamming")
    with pytest.raises(sheafdb.Error):
        docs.search([0, 0, 0]).fetchall()
    with pytest.raises(sheafdb.NotSupportedError, match="exact"):
        docs.create_index("e", kind="hnsw")
    with pytest.raises(sheafdb.ProgrammingError, match="say which column"):
        con.sql("CREATE TABLE none (n INT)") or con.table("none").search([1])


def test_rows_one_by_one(con):
    import datetime as dt
    from decimal import Decimal

    con.sql(
        "CREATE TABLE t (n INTEGER, x REAL, s TEXT, b BOOLEAN, at TIMESTAMP, "
        "d DECIMAL(5,2), l INT[])"
    )
    with con.appender("t") as rows:
        rows.append(1, 0.5, "a", True, dt.datetime(2026, 1, 1), Decimal("1.50"), [1, 2])
        rows.append(None, 2, None, None, None, None, None)
        assert rows.flush() == 2
        with pytest.raises(TypeError, match="column 's': a str is expected, not a int"):
            rows.append(3, 0.5, 5, True, None, None, None)
        with pytest.raises(ValueError, match="7 values, not 1"):
            rows.append(3)
        rows.append(4, 0.5, "d", False, None, 3, [])
    assert con.sql("SELECT n, x, s FROM t").fetchall() == [
        (1, 0.5, "a"),
        (None, 2.0, None),
        (4, 0.5, "d"),
    ]
    assert con.sql("SELECT d, l FROM t WHERE n = 4").fetchone() == (Decimal("3.00"), [])
    with pytest.raises(sheafdb.ProgrammingError, match="closed"):
        rows.append(1)
    with pytest.raises(RuntimeError):
        with con.appender("t", ["n"]) as rows:
            rows.append(5)
            raise RuntimeError
    assert len(con.table("t")) == 3, "rows before an error are not committed by half"
    with con.appender("t", ["n"]) as rows:
        for n in range(70_000):
            rows.append(n)
    assert len(con.table("t")) == 70_003
    with pytest.raises(sheafdb.DatabaseError, match="column 'n'"):
        with con.appender("t", ["n"]) as rows:
            rows.append(2**40)


def test_tables_change_together(con, users):
    con.sql("CREATE TABLE log (what TEXT NOT NULL)")
    users.append({"id": [1, 2], "name": ["Ada", "Alan"]})
    with con.batch() as batch:
        batch.upsert("users", [{"id": 2, "name": "Turing"}, {"id": 3, "name": "Grace"}])
        batch.delete("users", {"id": [1]})
        batch.append("log", {"what": ["changed"]})
        assert len(users) == 2
    assert [row[:2] for row in users.rel().order("id").fetchall()] == [(2, "Turing"), (3, "Grace")]
    batch = con.batch()
    batch.append("users", {"id": [4]})
    batch.append("log", {"what": [None]})
    with pytest.raises(sheafdb.IntegrityError):
        batch.commit()
    with pytest.raises(RuntimeError):
        with con.batch() as batch:
            batch.append("users", {"id": [5]})
            raise RuntimeError
    assert len(users) == 2 and len(con.table("log")) == 1
    assert con.batch().commit() == (0, 0)
    with con.batch() as batch:
        assert batch.commit() == (0, 0)
    with pytest.raises(sheafdb.ProgrammingError, match="committed already"):
        batch.append("users", {"id": [5]})


def test_arrays_of_numpy_are_columns(con):
    import numpy as np

    con.sql(
        "CREATE TABLE a (i SMALLINT, u BIGINT, f REAL, b BOOLEAN, t TIMESTAMP, d DATE, s TEXT, "
        "v VECTOR(2), o BIGINT)"
    )
    table = con.table("a")
    moments = np.array(["2026-01-01T00:00:01", "NaT", "1969-12-31"], "datetime64[s]")
    rows = {
        "i": np.array([1, 2, 3], "int8"),
        "u": np.array([1, 2, 2**40], "uint64"),
        "f": np.array([0.5, np.nan, -1], "float64"),
        "b": np.array([True, False, True]),
        "t": moments,
        "d": moments.astype("datetime64[D]"),
        "s": np.array(["a", "b", "c"]),
        "v": np.arange(6, dtype="float32").reshape(3, 2),
        "o": np.arange(6)[::2],
    }
    assert table.append(rows) == 3
    found = con.sql("SELECT i, u, b, t, d, s, v, o FROM a ORDER BY i").fetchall()
    assert found[0][:3] == (1, 1, True) and found[2][1] == 2**40
    assert found[1][3] is None and found[1][4] is None and found[0][3].second == 1
    assert found[2][4].year == 1969 and found[2][5] == "c"
    assert found[1][6] == [2.0, 3.0] and [row[7] for row in found] == [0, 2, 4]
    masked = np.ma.masked_array([1, 2], [False, True])
    assert table.append({"u": masked}) == 2
    assert con.sql("SELECT u FROM a WHERE i IS NULL ORDER BY u").fetchall() == [(1,), (None,)]
    with pytest.raises(sheafdb.Error, match="(?i)vector|dimension|v"):
        table.append({"v": np.zeros((2, 3), "float32")})


def test_rows_that_a_commit_refuses_are_not_lost(con):
    from decimal import Decimal

    con.sql("CREATE TABLE t (n BIGINT PRIMARY KEY, d DECIMAL(5, 2), u DATE)")
    rows = con.appender("t")
    rows.append(1, 2, "2026-01-01")
    rows.append(2, Decimal("1.50"), None)
    rows.flush()
    rows.append(2, 3, None)
    for _ in range(2):
        with pytest.raises(sheafdb.IntegrityError):
            rows.flush()
    con.sql("DELETE FROM t WHERE n = 2")
    rows.append(3, None, None)
    assert rows.flush() == 2 and rows.flush() == 0
    rows.close()
    assert [row[:2] for row in con.table("t").rel().order("n").fetchall()] == [
        (1, Decimal("2.00")),
        (2, Decimal("3.00")),
        (3, None),
    ]
    with pytest.raises(TypeError, match="column 'd'"):
        con.appender("t").append(4, "much", None)


def test_threads_share_an_appender(con):
    import datetime as dt
    import threading

    import numpy as np

    con.sql("CREATE TABLE t (x REAL, d DATE)")
    rows = con.appender("t")

    def work():
        for i in range(500):
            rows.append(np.float32(i), dt.date(2020, 1, 1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)
    rows.close()
    assert len(con.table("t")) == 2000


def test_an_appender_keeps_its_database_open(tmp_path):
    rows = sheafdb.connect(tmp_path / "db")
    rows.sql("CREATE TABLE t (n BIGINT)")
    rows = rows.appender("t")
    rows.append(1)
    rows.close()
    with sheafdb.connect(tmp_path / "db") as con:
        assert len(con.table("t")) == 1


def test_columns_of_python_may_mix_numbers(con):
    from decimal import Decimal

    con.sql("CREATE TABLE t (h DECIMAL(20, 0), d DECIMAL(10, 3), s TEXT)")
    table = con.table("t")
    assert table.append({"h": [1, 2**63, 5], "d": [1, Decimal("1.5"), None]}) == 3
    assert con.sql("SELECT sum(h), sum(d) FROM t").fetchone() == (2**63 + 6, Decimal("2.500"))
    found = con.execute("SELECT ?", ([{"a": 1}, {"a": None}],)).fetchone()
    assert found == ([{"a": 1}, {"a": None}],)
