"""Relations: lazy, in every form, derived, shown."""

import pytest

import sheafdb


def test_a_query_runs_when_rows_are_asked_for(con):
    con.sql("CREATE TABLE t (n BIGINT)")
    rel = con.sql("SELECT sum(n) AS s FROM t")
    con.sql("INSERT INTO t VALUES (1), (2)")
    assert rel.fetchall() == [(3,)]
    con.sql("INSERT INTO t VALUES (3)")
    assert rel.fetchall() == [(6,)]
    assert rel.columns == ["s"] and rel.types == ["bigint"]


def test_other_statements_run_at_once(con):
    assert con.sql("CREATE TABLE t (n BIGINT)") is None
    assert con.sql("INSERT INTO t VALUES (1)") is None
    returned = con.sql("INSERT INTO t VALUES (2) RETURNING n")
    assert returned.fetchall() == [(2,)]
    assert len(con.table("t")) == 2
    assert con.sql("SHOW TABLES").fetchall()


def test_several_statements_run_in_order(con):
    rel = con.sql("CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (1); SELECT n FROM t;")
    assert rel.fetchall() == [(1,)]
    with pytest.raises(sheafdb.ProgrammingError, match="several"):
        con.sql("SELECT ?; SELECT ?", (1, 2))
    assert con.sql("") is None and con.sql(" ; ") is None


def test_fetching_goes_on_where_it_stopped(con):
    rel = con.sql("SELECT n FROM range(5) AS t(n) ORDER BY n")
    assert rel.fetchone() == (0,)
    assert rel.fetchmany(2) == [(1,), (2,)]
    assert rel.fetchmany(9) == [(3,), (4,)]
    assert rel.fetchone() == (0,)


def test_derived_relations_are_one_query(con):
    con.sql("CREATE TABLE t AS SELECT n, n % 3 AS g FROM range(100) AS t(n)")
    rel = con.sql("SELECT * FROM t WHERE n >= $1", (10,))
    assert len(rel) == 90 and rel.shape == (90, 2)
    assert rel.filter("g = $1", (0,)).select("n + 1 AS m").order("m DESC").limit(2).fetchall() == [
        (100,),
        (97,),
    ]
    groups = rel.aggregate("count(*) AS c", by="g").order("g")
    assert groups.fetchall() == [(0, 30), (1, 30), (2, 30)]
    assert rel.select("g").distinct().order("g").fetchall() == [(0,), (1,), (2,)]
    assert len(rel.union(rel)) == 180
    names = con.sql("SELECT * FROM (VALUES (0, 'zero'), (1, 'one')) AS v(g, name)")
    joined = rel.join(names, "g").aggregate("count(*) AS c", by="name").order("name")
    assert joined.fetchall() == [("one", 30), ("zero", 30)]
    assert rel.query("r", "SELECT max(n) FROM r").fetchone() == (99,)
    assert "filters=[n >= 10, n < 12]" in rel.filter("n < 12").explain()


def test_relations_are_tables_of_other_statements(con):
    con.sql("CREATE TABLE t AS SELECT n FROM range(10) AS t(n)")
    small = con.sql("SELECT n FROM t WHERE n < $limit", {"limit": 5})
    assert con.sql("SELECT count(*) FROM small").fetchone() == (5,)
    nested = con.sql("SELECT n * 2 AS n FROM small")
    assert con.sql("SELECT max(n) FROM nested").fetchone() == (8,)
    assert nested.insert_into("t") == 5
    nested.create("copy")
    assert len(con.table("copy")) == len(nested)
    with sheafdb.connect() as other:
        assert other.sql("SELECT count(*) FROM small").fetchone() == (len(small),)


def test_boxes_say_what_was_cut(con):
    shown = repr(con.sql("SELECT n, 'x' AS s FROM range(30) AS t(n) ORDER BY n"))
    assert "│ n  │" in shown.replace("  n ", " n ") or "n" in shown
    assert "30 rows, 20 shown" in shown
    assert "more than 10,000 rows, 20 shown" in repr(con.sql("SELECT * FROM range(50000)"))
    one = repr(con.sql("SELECT 1 AS one, NULL AS nothing, true AS t, 'ä世' AS wide"))
    assert "1 row" in one and "NULL" in one and "true" in one
    lines = one.splitlines()[:-1]
    assert len({len(line.replace("世", "世 ")) for line in lines}) <= 2
    none = repr(con.sql("SELECT 1 AS n WHERE false"))
    assert "0 rows" in none and "integer" in none or "bigint" in none
    many = repr(con.sql("SELECT " + ", ".join(f"{i} AS column_{i}" for i in range(40))))
    assert "…" in many and "columns not shown" in many
    page = con.sql("SELECT '<b>' AS x")._repr_html_()
    assert "&lt;b&gt;" in page and "<b>" not in page


def test_rows_without_columns_and_columns_without_rows(con):
    import pyarrow

    empty = pyarrow.table({})
    assert con.sql("SELECT count(*) FROM empty").fetchone() == (0,)
    no_rows = pyarrow.table({"a": pyarrow.array([], pyarrow.int64())})
    assert con.sql("SELECT * FROM no_rows").fetchall() == []
    assert con.sql("SELECT * FROM no_rows").arrow().schema.names == ["a"]


def test_plans_are_explained(con):
    rel = con.sql("SELECT count(*) FROM range(1000) AS t(n) WHERE n > 5")
    assert "Aggregate" in rel.explain()
    plan = rel.explain(analyze=True)
    assert "output_rows" in plan
    # A notebook shows a tree: each step below the one that it feeds, with its time.
    steps = [plan.steps[0]]
    while steps[-1].inputs:
        steps.append(steps[-1].inputs[0])
    assert plan.count("Exec") <= len(plan.splitlines()) == len(steps)
    assert all(step.seconds is not None for step in steps if "elapsed_compute" in step.metrics)
    assert "1" in [step.rows for step in steps], plan
    shown = plan._repr_html_()
    assert shown.count("<details>") == len(steps) and "<meter" in shown
    assert shown.count("<div") == shown.count("</div>")


def test_files_are_written_and_read(con, tmp_path):
    rel = con.sql("SELECT n, 'a;b' AS s FROM range(3) AS t(n)")
    assert rel.write_parquet(tmp_path / "x.parquet", compression="zstd") == 3
    assert rel.write_csv(tmp_path / "x.csv", delimiter=";") == 3
    assert rel.write_json(tmp_path / "x.ndjson") == 3
    expected = rel.fetchall()
    assert con.read_parquet(tmp_path / "x.parquet").fetchall() == expected
    assert con.read_csv(tmp_path / "x.csv", delim=";").fetchall() == expected
    assert con.read_json([tmp_path / "x.ndjson"]).fetchall() == expected


def test_a_snapshot_stays(con):
    con.sql("CREATE TABLE t (n BIGINT PRIMARY KEY)")
    con.sql("INSERT INTO t VALUES (1)")
    with con.snapshot() as before:
        con.sql("INSERT INTO t VALUES (2)")
        con.sql("DELETE FROM t WHERE n = 1")
        assert before.sql("SELECT n FROM t").fetchall() == [(1,)]
        assert before.sql("SELECT n FROM t WHERE n = 2").fetchall() == []
        assert before.table("t").get(1) == {"n": 1}
        assert before.version < con.snapshot().version and con.version is None
        for sql in ("INSERT INTO t VALUES (3)", "DROP TABLE t", "CREATE TABLE u (n INT)"):
            with pytest.raises(sheafdb.OperationalError, match="cannot be changed"):
                before.execute(sql)
        with pytest.raises(sheafdb.OperationalError, match="cannot be changed"):
            before.table("t").append({"n": [5]})
    assert con.sql("SELECT n FROM t").fetchall() == [(2,)]


def test_rows_at_hand_end_too(con):
    con.sql("CREATE TABLE t (n INT)")
    returned = con.sql("INSERT INTO t VALUES (1), (2) RETURNING n")
    assert [returned.fetchone() for _ in range(4)] == [(1,), (2,), None, (1,)]


def test_the_last_of_several_statements_is_a_relation(con):
    rel = con.sql(
        "CREATE TABLE t (n INT); INSERT INTO t VALUES (1), (2); SELECT n FROM t ORDER BY n;"
    )
    assert (
        len(rel) == 2 and rel.limit(1).fetchall() == [(1,)] and rel.filter("n > 1").shape == (1, 1)
    )
    assert "SheafScan" in rel.explain()


def test_names_that_people_write_are_free(con):
    con.sql("CREATE TABLE data (n BIGINT PRIMARY KEY, distance REAL); CREATE TABLE this (n BIGINT)")
    assert con.table("data").upsert({"n": [1], "distance": [2.0]}) == 1
    assert con.sql("SELECT n FROM data").insert_into("this") == 1
    this = con.table("this")
    con.sql("DROP TABLE this")
    con.sql("CREATE TABLE this (m BIGINT)")
    assert this.columns == ["m"]
    assert con.sql("SELECT 1 AS n").join(con.sql("SELECT 2 AS m"), how="cross").fetchall() == [
        (1, 2)
    ]
