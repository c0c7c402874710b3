"""The same things in sheafdb and duckdb: the page docs/python.md says how they are written."""

import duckdb
import pandas as pd


def test_the_same_answers(con):
    theirs = duckdb.connect()
    frame = pd.DataFrame({"id": [1, 2, 3], "g": ["a", "b", "a"], "x": [0.5, 1.5, 2.5]})
    for one in (con, theirs):
        one.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, g VARCHAR, x DOUBLE)")
        one.execute("INSERT INTO t SELECT * FROM frame")

    def both(sql, params=None):
        ours = con.execute(sql, params).fetchall()
        assert ours == theirs.execute(sql, params).fetchall()
        return ours

    assert both("SELECT g, sum(x) FROM t GROUP BY g ORDER BY g") == [("a", 3.0), ("b", 1.5)]
    assert both("SELECT id FROM t WHERE x > ? ORDER BY id", (1,)) == [(2,), (3,)]
    new = pd.DataFrame({"id": [3, 4], "g": ["z", "z"], "x": [9.0, 8.0]})
    assert con.table("t").upsert(new) == 2
    theirs.execute("INSERT OR REPLACE INTO t SELECT * FROM new")
    assert len(both("SELECT * FROM t ORDER BY id")) == 4
    assert con.table("t").delete("id = $1", (1,)) == 1
    theirs.execute("DELETE FROM t WHERE id = 1")
    assert len(both("SELECT * FROM t ORDER BY id")) == 3
    assert con.table("t").get(4) == {"id": 4, "g": "z", "x": 8.0}
    assert (
        con.sql("SELECT * FROM t ORDER BY id")
        .df()
        .equals(theirs.sql("SELECT * FROM t ORDER BY id").df())
        or con.sql("SELECT * FROM t ORDER BY id").fetchall()
        == theirs.sql("SELECT * FROM t ORDER BY id").fetchall()
    )
    assert (
        con.sql("FROM frame").arrow().to_pylist()
        == theirs.sql("FROM frame").to_arrow_table().to_pylist()
    )


def test_the_same_neighbours(con):
    theirs = duckdb.connect()
    for one, kind in ((con, "VECTOR(2)"), (theirs, "FLOAT[2]")):
        one.execute(f"CREATE TABLE v (id BIGINT PRIMARY KEY, e {kind})")
        one.execute("INSERT INTO v VALUES (1, [0, 0]), (2, [1, 1]), (3, [5, 5])")
    near = con.table("v").search([1.0, 1.2], k=2).select("id").fetchall()
    sql = "SELECT id FROM v ORDER BY array_distance(e, [1.0, 1.2]::FLOAT[2]) LIMIT 2"
    assert near == theirs.execute(sql).fetchall()


def test_the_same_vectors_in_lancedb(con, tmp_path):
    import lancedb
    import pyarrow as pa

    rows = pa.table(
        {
            "id": [1, 2, 3],
            "tag": ["a", "b", "a"],
            "e": pa.array([[0, 0], [1, 1], [5, 5]], pa.list_(pa.float32(), 2)),
        }
    )
    new = pa.table(
        {
            "id": [3, 4],
            "tag": ["z", "z"],
            "e": pa.array([[1, 0], [9, 9]], pa.list_(pa.float32(), 2)),
        }
    )
    theirs = lancedb.connect(tmp_path / "lance").create_table("v", data=rows)
    con.sql("CREATE TABLE v (id BIGINT PRIMARY KEY, tag TEXT, e VECTOR(2))")
    ours = con.table("v")
    ours.append(rows)

    def near(vector, k, where=None):
        found = theirs.search(vector).limit(k)
        found = found.where(where, prefilter=True) if where else found
        expected = [row["id"] for row in found.to_list()]
        assert [row[0] for row in ours.search(vector, k, where=where).fetchall()] == expected
        return expected

    assert near([0.1, 0.0], 2) == [1, 2]
    assert near([4.0, 4.0], 1, "tag = 'a'") == [3]
    merge = theirs.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
    merge.execute(new)
    assert ours.upsert(new, key="id") == 2
    assert near([1.0, 0.1], 1) == [3]
    theirs.delete("id = 3")
    ours.delete("id = 3")
    assert near([1.0, 0.1], 1) == [2] and theirs.count_rows() == len(ours)
