"""Arrow, pandas, polars and NumPy: out of queries, and into them by their names."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import sheafdb


def test_arrow_both_ways(con):
    rows = pa.table({"n": [1, 2, None], "s": ["a", None, "c"]})
    out = con.sql("SELECT n * 2 AS n, s FROM rows").arrow()
    assert out.column("n").to_pylist() == [2, 4, None]
    assert out.column("s").to_pylist() == ["a", None, "c"]
    batch = rows.to_batches()[0]
    assert con.sql("SELECT count(*) FROM batch").fetchone() == (3,)
    reader = pa.RecordBatchReader.from_batches(rows.schema, [batch])
    assert con.sql("SELECT max(s) FROM reader").fetchone() == ("c",)
    reader = pa.RecordBatchReader.from_batches(rows.schema, [batch])
    with pytest.raises(sheafdb.OperationalError, match="can be read once"):
        con.sql("SELECT count(*) FROM reader AS a, reader AS b").fetchall()


def test_batches_come_as_they_are_made(con):
    rel = con.sql("SELECT * FROM range(100000) AS t(n)")
    batches = rel.to_batches()
    first = next(batches)
    assert isinstance(first, pa.RecordBatch) and first.num_rows < 100_000
    assert first.num_rows + sum(batch.num_rows for batch in batches) == 100_000
    assert pa.table(rel).num_rows == 100_000
    assert pa.schema(rel).names == ["n"]


def test_a_reader_that_stops_early_ends_the_query(con):
    reader = con.sql("SELECT * FROM range(1000000000) AS t(n)").reader()
    assert reader.read_next_batch().num_rows > 0
    del reader


def test_pandas_both_ways(con):
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None, 3], dtype="Int64"),
            "s": ["a", None, "c"],
            "x": [1.5, np.nan, -0.0],
            "t": pd.to_datetime(["2026-01-01 00:00", None, "2026-01-03 12:00"]),
            "z": pd.to_datetime(["2026-01-01", "2026-06-01", None]).tz_localize("Europe/Berlin"),
            "c": pd.Categorical(["low", "high", "low"]),
            "b": [True, False, True],
            "d": pd.to_timedelta([1, 2, None], unit="s"),
        }
    )
    out = con.sql("SELECT * FROM frame").df()
    assert list(out.columns) == list(frame.columns)
    assert out["n"].fillna(-1).tolist() == [1, -1, 3]
    assert out["s"].isna().tolist() == [False, True, False]
    assert out["t"].isna().tolist() == [False, True, False]
    assert out["z"][0] == frame["z"][0]
    assert out["c"].astype(str).tolist() == ["low", "high", "low"]
    assert out["b"].dtype == bool
    assert con.sql("SELECT count(*) FROM frame WHERE c = 'low' AND b").fetchone() == (2,)
    con.sql("CREATE TABLE stored AS SELECT n, s, x, t, z, c, b FROM frame")
    assert con.sql("SELECT z FROM stored").df()["z"][1] == frame["z"][1]


def test_pandas_without_pyarrow(con, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pyarrow":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    rel = con.sql(
        "SELECT * FROM (VALUES (1, 1.5, 'a', DATE '2026-01-01', true, [1.0, 2.0]),"
        " (NULL, NULL, NULL, NULL, NULL, NULL)) AS t(n, x, s, d, b, l)"
    )
    monkeypatch.setattr(builtins, "__import__", without)
    frame = rel.df()
    monkeypatch.undo()
    assert frame["n"].isna().tolist() == [False, True] and frame["n"][0] == 1
    assert frame["d"][0] == pd.Timestamp(2026, 1, 1) and pd.isna(frame["d"][1])
    assert frame["s"].tolist() == ["a", None] or frame["s"].isna().tolist() == [False, True]
    assert frame["l"][0] == [1.0, 2.0]
    assert len(con.sql("SELECT 1 AS n WHERE false").df()) == 0


def test_objects_that_are_no_column_are_refused(con):
    frame = pd.DataFrame({"o": [1, "a", object()]})
    with pytest.raises(sheafdb.DataError, match="cannot be read as Arrow"):
        con.sql("SELECT * FROM frame")


def test_polars_both_ways(con):
    frame = pl.DataFrame(
        {
            "n": [1, 2, None],
            "s": ["a", "b", None],
            "c": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
            "t": [dt.datetime(2026, 1, 1), None, dt.datetime(2026, 1, 3)],
            "l": [[1], [], None],
        }
    )
    out = con.sql("SELECT * FROM frame").pl()
    assert isinstance(out, pl.DataFrame)
    assert out["n"].to_list() == [1, 2, None] and out["l"].to_list() == [[1], [], None]
    assert out["c"].cast(pl.String).to_list() == ["x", "y", "x"]
    lazy = frame.lazy().filter(pl.col("n") > 1)
    assert con.sql("SELECT s FROM lazy").fetchall() == [("b",)]


def test_numpy_arrays_are_the_engines_memory(con):
    con.sql("CREATE TABLE v (id BIGINT, at TIMESTAMP, e VECTOR(3), s TEXT)")
    con.sql(
        "INSERT INTO v VALUES (1, '2026-01-01', '[1,2,3]', 'a'), (2, '2026-01-02', '[4,5,6]', 'b')"
    )
    arrays = con.sql("SELECT * FROM v ORDER BY id").fetchnumpy()
    assert arrays["id"].tolist() == [1, 2]
    assert arrays["at"].dtype == "datetime64[us]"
    assert arrays["e"].shape == (2, 3) and arrays["e"].dtype == np.float32
    assert arrays["e"][1].tolist() == [4, 5, 6]
    assert arrays["s"].tolist() == ["a", "b"]
    assert not arrays["e"].flags.owndata and not arrays["e"].flags.writeable
    nulls = con.sql("SELECT * FROM (VALUES (1), (NULL)) AS t(n)").fetchnumpy()["n"]
    assert isinstance(nulls, np.ma.MaskedArray) and nulls.tolist() == [1, None]
    days = con.sql("SELECT DATE '2026-01-02' AS d").fetchnumpy()["d"]
    assert days.tolist() == [dt.date(2026, 1, 2)]
    many = con.sql("SELECT n, n::REAL AS r FROM range(100000) AS t(n)").fetchnumpy()
    assert many["n"].sum() == sum(range(100_000)) and many["r"].dtype == np.float32


def test_other_libraries_take_arrays(con):
    import jax.numpy as jnp

    rel = con.sql("SELECT 1.5::REAL AS x, [1, 2]::VECTOR(2) AS v, NULL::INT AS n, 'a' AS s")
    arrays = rel.jax()
    assert set(arrays) == {"x", "v", "n"}
    assert isinstance(arrays["v"], jnp.ndarray) and arrays["v"].tolist() == [[1, 2]]
    assert arrays["x"].tolist() == [1.5] and jnp.isnan(arrays["n"]).all()
    with pytest.raises(sheafdb.DataError, match="'n' has integers of more than 32 bits"):
        con.sql("SELECT 5000000000 AS n").jax()
    # DLPack, by which NumPy hands memory on: the engine's own, read-only.
    vectors = rel.fetchnumpy()["v"]
    taken = np.from_dlpack(vectors)
    assert np.shares_memory(taken, vectors) and taken.tolist() == [[1, 2]]


def test_duckdb_reads_relations_and_is_read(con):
    import duckdb

    rel = con.sql("SELECT n, n % 2 = 0 AS even FROM range(10) AS t(n)")
    other = duckdb.connect()
    assert other.execute("SELECT sum(n) FROM rel WHERE even").fetchall() == [(20,)]
    theirs = other.sql("SELECT range AS n FROM range(5)")
    assert con.sql("SELECT sum(n) FROM theirs").fetchone() == (10,)


def test_names_are_looked_up_where_the_statement_stands(con):
    Rows = pa.table({"n": [1]})  # noqa: N806 - SQL folds names to lower case
    assert con.sql("SELECT n FROM Rows").fetchone() == (1,)

    def inside():
        rows = pa.table({"n": [2]})
        return con.sql("SELECT n FROM rows").fetchone()

    assert inside() == (2,)
    text = "not rows"
    with pytest.raises(sheafdb.ProgrammingError, match="'text' not found"):
        con.sql("SELECT * FROM text").fetchall()
    con.sql("CREATE TABLE rows AS SELECT 3 AS n")
    rows = pa.table({"n": [4]})
    assert con.sql("SELECT n FROM rows").fetchone() == (3,), "tables come before variables"
    con.register("rows", rows)
    assert con.sql("SELECT n FROM rows").fetchone() == (4,), "registered names come first"
    con.unregister("rows")
    assert con.sql("SELECT n FROM rows").fetchone() == (3,)
    with pytest.raises(sheafdb.ProgrammingError, match="nothing is registered"):
        con.unregister("rows")
    with pytest.raises(sheafdb.ProgrammingError, match="cannot be read as rows"):
        con.register("x", 5)
    assert text


def test_changes_read_variables_too(con):
    con.sql("CREATE TABLE t (n BIGINT PRIMARY KEY, s TEXT)")
    new = pa.table({"n": [1, 2], "s": ["a", "b"]})
    assert con.execute("INSERT INTO t SELECT * FROM new").rowcount == 2
    names = pd.DataFrame({"n": [2], "s": ["z"]})
    assert con.execute("UPDATE t SET s = names.s FROM names WHERE t.n = names.n").rowcount == 1
    con.sql("CREATE TABLE u AS FROM new")
    assert con.sql("SELECT s FROM t ORDER BY n").fetchall() == [("a",), ("z",)]
    with pytest.raises(sheafdb.ProgrammingError, match="not a table"):
        con.register("new", new).execute("INSERT INTO new VALUES (1, 'x')")


def test_data_of_one_piece_is_read_by_all_threads(con):
    big = pa.table({"n": np.arange(1_000_000)})
    assert con.sql("SELECT sum(n) FROM big").fetchone() == (499_999_500_000,)
    assert con.sql("SELECT count(*) FROM big a JOIN big b USING (n)").fetchone() == (1_000_000,)


def test_polars_pushes_into_the_database(con):
    con.sql(
        "CREATE TABLE t AS SELECT n, n % 10 AS g, n::DOUBLE PRECISION AS x FROM range(1000) AS t(n)"
    )
    lazy = con.table("t").lazy()
    assert lazy.collect_schema().names() == ["n", "g", "x"]
    some = lazy.filter((pl.col("g") == 3) & (pl.col("n") > 500)).select("n")
    assert some.collect()["n"].to_list() == list(range(503, 1000, 10))
    assert lazy.head(5).collect().height == 5
    assert lazy.select(pl.len()).collect().item() == 1000
    assert lazy.filter(pl.col("n").is_in([1, 2])).collect().height == 2
    assert lazy.filter(pl.col("x").sqrt() < 2, pl.col("n") >= 1).head(2).collect().height == 2
    assert lazy.head(4).filter(pl.col("n") >= 3).collect()["n"].to_list() == [3]
    assert lazy.filter(pl.col("n") >= 3).head(4).collect()["n"].to_list() == [3, 4, 5, 6]
    assert lazy.group_by("g").agg(pl.col("n").sum()).collect().height == 10
    late = con.sql("SELECT TIMESTAMP '2026-01-01' AS t, 'a' AS s").lazy()
    assert (
        late.filter(pl.col("t") >= dt.datetime(2026, 1, 1), pl.col("s") == "a").collect().height
        == 1
    )


def test_conditions_of_polars_are_said_in_sql():
    from sheafdb.lazy import translated

    for expression, sql in [
        (pl.col("a") > 1, '("a" > $1)'),
        ((pl.col("a") == 1) & pl.col("b").is_null(), '("a" = $1) AND ("b" IS NULL)'),
        ((pl.col("a") < 1) | ~(pl.col("s") == "x"), '(("a" < $1) OR (NOT ("s" = $2)))'),
        ((pl.col("a") < 1) & (pl.col("a").sin() < 1), '("a" < $1)'),
        (pl.col("a").is_between(1, 5), '("a" BETWEEN $1 AND $2)'),
        (pl.col("a").is_in([1]), ""),
    ]:
        said, values = translated(expression)
        assert said == sql and said.count("$") == len(values)


def test_texts_are_plain_unless_views_are_asked_for(con):
    con.sql("CREATE TABLE texts (n BIGINT PRIMARY KEY, t TEXT, b BYTEA, l TEXT[])")
    con.sql(
        "INSERT INTO texts SELECT n, 'text ' || n, ('text ' || n)::BYTEA, ['a', 'text ' || n] "
        "FROM range(20000) AS r(n)"
    )
    rel = con.sql("SELECT t, b, l FROM texts ORDER BY n")
    plain = pa.schema([("t", pa.string()), ("b", pa.binary()), ("l", pa.list_(pa.string()))])
    for rows in [rel.arrow(), pa.table(rel), rel.reader().read_all(), pa.table(rel.to_batches())]:
        assert rows.schema.types == plain.types
        assert rows["t"].to_pylist()[-1] == "text 19999" and rows.num_rows == 20_000
    assert pa.schema(rel).types == plain.types
    # What people do next.
    rows = rel.arrow()
    kept = rows.filter(pc.equal(rows["t"], "text 7")).sort_by("t")
    assert kept.to_pylist() == [{"t": "text 7", "b": b"text 7", "l": ["a", "text 7"]}]
    for rows in [rel.arrow(views=True), rel.reader(views=True).read_all()]:
        assert rows.schema.field("t").type == pa.string_view()
        assert rows["t"].to_pylist() == rel.arrow()["t"].to_pylist()
    wanted = pa.schema([("t", pa.large_string()), ("b", pa.binary()), ("l", pa.list_(pa.string()))])
    assert pa.table(rel, schema=wanted).schema.field("t").type == pa.large_string()
    assert con.sql("SELECT 'x' AS t WHERE false").arrow().schema.types == [pa.string()]


def test_words_with_a_null_among_them_are_texts(con):
    import pyarrow as pa

    words = pa.array(["a", None, "a text that its view has no room for"])
    coded = pa.table({"w": pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None]), words)})
    relation = con.sql("SELECT w FROM coded")
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        reader = pa.RecordBatchReader.from_stream(relation, schema=pa.schema([("w", kind)]))
        assert reader.read_all()["w"].to_pylist() == ["a", None, words[2].as_py(), None]


def test_files_say_nothing_of_the_frames_that_they_came_from(con, tmp_path):
    import pandas as pd
    import polars as pl
    import pyarrow.feather
    import pyarrow.parquet

    frame = pd.DataFrame({"a": pd.array([1, 2, 3], dtype="Int64")})
    words = pl.DataFrame({"w": pl.Series(["x", "y", "x"], dtype=pl.Categorical)})
    assert len(frame) == len(words)
    query = "SELECT 'n' || a::TEXT AS a FROM frame"
    con.sql(f"COPY ({query}) TO '{tmp_path}/a.parquet'")
    con.sql(f"COPY ({query}) TO '{tmp_path}/a.arrow'")
    for made in (
        pd.read_parquet(tmp_path / "a.parquet"),
        pyarrow.feather.read_feather(tmp_path / "a.arrow"),
        con.sql(query).df(),
    ):
        assert made["a"].tolist() == ["n1", "n2", "n3"]
    for ending in ("parquet", "arrow"):
        con.sql(f"COPY (SELECT w FROM words) TO '{tmp_path}/w.{ending}'")
    read = [
        pyarrow.parquet.read_table(tmp_path / "w.parquet"),
        pyarrow.feather.read_table(tmp_path / "w.arrow"),
    ]
    assert [table["w"].to_pylist() for table in read] == [["x", "y", "x"]] * 2


def test_texts_that_come_again_are_made_once_and_right(con):
    con.sql("CREATE TABLE t (n BIGINT PRIMARY KEY, s TEXT)")
    con.sql(
        "INSERT INTO t SELECT n, CASE WHEN n % 7 = 0 THEN NULL "
        "WHEN n % 2 = 0 THEN 'short ' || n % 50 "
        "ELSE 'a text that is longer than a view ' || n % 9000 END FROM range(30000) AS r(n)"
    )

    def text(n):
        if n % 7 == 0:
            return None
        return f"short {n % 50}" if n % 2 == 0 else f"a text that is longer than a view {n % 9000}"

    rel = con.sql("SELECT s FROM t ORDER BY n")
    expected = [text(n) for n in range(30_000)]
    assert [s for (s,) in rel.fetchall()] == expected
    array = rel.fetchnumpy()["s"]
    assert array.tolist() == expected and array[2] is array[52]
    assert [s for (s,) in con.sql("SELECT s FROM t ORDER BY n OFFSET 9001").fetchall()] == expected[
        9001:
    ]
