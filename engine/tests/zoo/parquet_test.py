"""Parquet files of three writers with all their options, whole and damaged."""

import contextlib
import random

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import samples
from support import SheafError, expect, fails, ours, quoted, same, same_values, theirs

# pyarrow does not write a dictionary with NULL among its values.
SAMPLES = {name: array for name, array in samples.everywhere() if "with NULL" not in name}


@pytest.mark.parametrize("name", SAMPLES)
def test_types(tmp_path, name):
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table({"a": SAMPLES[name]}), path)
    # What pyarrow reads, since DuckDB makes doubles of decimals with more than 38
    # digits, integers of durations and text of UUIDs.
    same(ours(f"FROM {quoted(path)}"), pq.read_table(path))
    # The other way to read, for what DataFusion has no option for, does not look at
    # the schema that pyarrow leaves beside Parquet's own.
    table = ours(f"SELECT a FROM read_parquet({quoted(path)}, filename => true)")
    plain = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": SAMPLES[name]}), plain, store_schema=False)
    same(table, pq.read_table(plain.getvalue()))


ORDINARY = pa.table(
    {
        "n": pa.array(range(2_000)),
        "f": pa.array([n / 7 if n % 5 else None for n in range(2_000)]),
        "g": pa.array([n / 7 for n in range(2_000)], pa.float32()),
        "t": pa.array([f"text {n % 97}" if n % 3 else None for n in range(2_000)]),
        "b": pa.array([n % 2 == 0 for n in range(2_000)]),
        "d": pa.array(range(2_000), pa.date32()),
        "i": pa.array([n % 11 for n in range(2_000)], pa.int32()),
        "l": pa.array([list(range(n % 4)) if n % 6 else None for n in range(2_000)]),
        "s": pa.array([{"x": n, "y": str(n)} if n % 8 else None for n in range(2_000)]),
        "k": pa.array([n.to_bytes(4, "big") for n in range(2_000)], pa.binary(4)),
    }
)

# name: options of pyarrow's writer
WRITERS = {
    **{f"version {v}": {"version": v} for v in ("1.0", "2.4", "2.6")},
    **{f"pages {v}": {"data_page_version": v} for v in ("1.0", "2.0")},
    **{
        f"{codec}, pages {v}": {"compression": codec, "data_page_version": v}
        for codec in ("none", "snappy", "gzip", "brotli", "lz4", "zstd")
        for v in ("1.0", "2.0")
    },
    "no dictionary": {"use_dictionary": False},
    "dictionary of some": {"use_dictionary": ["t"]},
    "dictionary that is too large": {"dictionary_pagesize_limit": 100},
    "small pages": {"data_page_size": 100, "write_batch_size": 10},
    "row groups of one row": {"row_group_size": 1},
    "row groups of 999": {"row_group_size": 999},
    "no statistics": {"write_statistics": False},
    "page index": {"write_page_index": True},
    "page checksums": {"write_page_checksum": True},
    "no Arrow schema": {"store_schema": False},
    "lists of Arrow 1": {"use_compliant_nested_type": False},
    "decimals as integers": {"store_decimal_as_integer": True},
    "content-defined pages": {"use_content_defined_chunking": True},
    "sorted": {"sorting_columns": [pq.SortingColumn(0)]},
    "split bytes": {"use_dictionary": False, "use_byte_stream_split": ["f", "g", "i", "n"]},
    "delta": {
        "use_dictionary": False,
        "column_encoding": {
            "n": "DELTA_BINARY_PACKED",
            "i": "DELTA_BINARY_PACKED",
            "t": "DELTA_BYTE_ARRAY",
        },
    },
    "delta lengths": {
        "use_dictionary": False,
        "column_encoding": {"t": "DELTA_LENGTH_BYTE_ARRAY", "b": "RLE", "k": "DELTA_BYTE_ARRAY"},
        "data_page_version": "2.0",
    },
    "plain": {
        "use_dictionary": False,
        "column_encoding": {"t": "PLAIN", "n": "PLAIN", "b": "PLAIN"},
    },
}


@pytest.mark.parametrize("name", WRITERS)
def test_pyarrow(tmp_path, name):
    path = tmp_path / "file.parquet"
    options = WRITERS[name]
    table = ORDINARY.slice(0, 300) if options.get("row_group_size") == 1 else ORDINARY
    pq.write_table(table, path, **options)
    mine = ours(f"FROM {quoted(path)}")
    same(mine, table)
    same(mine, theirs(f"FROM {quoted(path)}"))
    # A filter that statistics and page indices can prune by.
    where = (
        f"SELECT n, t FROM {quoted(path)} WHERE n BETWEEN 100 AND 200 OR t = 'text 5' ORDER BY n"
    )
    same(ours(where), theirs(where))


TIMES = pa.table(
    {
        f"{unit}_{zone}": pa.array(
            [0, None, -(1000**power), 1_700_000_000 * 1000**power], pa.timestamp(unit, zone)
        )
        for power, unit in enumerate(samples.UNITS)
        for zone in samples.ZONES
    }
)


@pytest.mark.parametrize(
    "options",
    [
        {"use_deprecated_int96_timestamps": True},
        {"flavor": "spark"},
        {"coerce_timestamps": "ms", "allow_truncated_timestamps": True},
        {"coerce_timestamps": "us", "allow_truncated_timestamps": True},
        {"version": "1.0"},
        {"version": "2.4"},
        {"store_schema": False},
    ],
    ids=str,
)
def test_timestamps(tmp_path, options):
    path = tmp_path / "file.parquet"
    pq.write_table(TIMES, path, **options)
    if "int96" in str(options) or "spark" in str(options):
        # Spark's timestamps have no zone in the file; pyarrow knows it from its own
        # schema. We read them as microseconds, which is what a TIMESTAMP has.
        names = [name for name in TIMES.column_names if not name.startswith("ns")]
        columns = ", ".join(f'"{name}"' for name in names)
        same_values(
            ours(f"SELECT {columns} FROM {quoted(path)}"), pq.read_table(path, columns=names)
        )
    else:
        same(ours(f"FROM {quoted(path)}"), pq.read_table(path))


def test_int96_of_any_year(tmp_path):
    # Spark writes these; nanoseconds in 64 bits end in the year 2262.
    path = tmp_path / "file.parquet"
    seconds = [-62_135_596_800, 253_402_300_799, 0]
    table = pa.table({"a": pa.array([s * 10**6 for s in seconds], pa.timestamp("us"))})
    pq.write_table(table, path, use_deprecated_int96_timestamps=True, store_schema=False)
    same(ours(f"FROM {quoted(path)}"), theirs(f"FROM {quoted(path)}"))


def test_no_rows(tmp_path):
    path = tmp_path / "file.parquet"
    pq.write_table(ORDINARY.slice(0, 0), path)
    same(ours(f"FROM {quoted(path)}"), ORDINARY.slice(0, 0))
    expect(f"SELECT count(*) AS n FROM {quoted(path)}", n=("int", [0]))


def test_nothing_but_null(tmp_path):
    path = tmp_path / "file.parquet"
    table = pa.table({field.name: pa.nulls(1_000, field.type) for field in ORDINARY.schema})
    pq.write_table(table, path)
    same(ours(f"FROM {quoted(path)}"), table)


def test_many_types_at_once(tmp_path):
    path = tmp_path / "file.parquet"
    table = samples.wide_table()
    pq.write_table(table, path, row_group_size=300)
    same(ours(f"FROM {quoted(path)}"), pq.read_table(path))


def test_many_columns(tmp_path):
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table({f"c{n}": [n, None, 2 * n] for n in range(10_000)}), path)
    # Not all of them: the planner's time is the square of the columns in a SELECT.
    query = f"SELECT c77, c9998 FROM {quoted(path)}"
    expect(query, c77=("int", [77, None, 154]), c9998=("int", [9998, None, 19996]))


def test_names_of_columns(tmp_path):
    path = tmp_path / "file.parquet"
    names = ["", " ", "a.b", 'q"q', "ä", "A", "a", "select", "x" * 300, "line\nend"]
    table = pa.table({name: [n] for n, name in enumerate(names)})
    pq.write_table(table, path)
    same(ours(f"FROM {quoted(path)}"), table)
    expect(
        f'SELECT "a.b" AS p, "A" AS u, "a" AS l FROM {quoted(path)}',
        p=("int", [2]),
        u=("int", [5]),
        l=("int", [6]),
    )


def test_the_same_name_twice(tmp_path):
    path = tmp_path / "file.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), path)
    same(ours(f"FROM {quoted(path)}"), theirs(f"FROM {quoted(path)}"))


# DuckDB's types that others have no equal for are left out; so is TIMETZ.
DUCKDB_ROWS = """
SELECT
    i::TINYINT AS ti, i::SMALLINT AS si, i::INTEGER AS ii, i::BIGINT AS bi, i::UTINYINT AS ut,
    i::UBIGINT AS ub, i::FLOAT AS f, i / 7 AS d, (i / 7)::DECIMAL(4, 1) AS d4,
    (i / 7)::DECIMAL(9, 3) AS d9, (i / 7)::DECIMAL(18, 5) AS d18, (i / 7)::DECIMAL(38, 10) AS d38,
    'text ' || i AS t, encode('x' || i) AS b, i % 2 = 0 AS flag, DATE '2024-01-01' + i::INTEGER AS day,
    TIME '00:00:00' + to_seconds(i) AS time, TIMESTAMP '1900-01-01' + to_days(i::INTEGER) AS ts,
    (TIMESTAMP '2024-01-01' + to_seconds(i))::TIMESTAMP_NS AS ns,
    (TIMESTAMP '2024-01-01' + to_seconds(i))::TIMESTAMP_S AS s,
    TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_hours(i) AS tz,
    CASE WHEN i % 3 > 0 THEN range(i % 5) END AS l, {'x': i, 'y': ['a', NULL]} AS st,
    MAP {'k' || i: i} AS m, ('k' || i % 3)::VARCHAR AS e, NULL::INTEGER AS nothing
FROM range(100) AS r(i)
"""


@pytest.mark.parametrize(
    "options",
    [
        "",
        "PARQUET_VERSION v1",
        "PARQUET_VERSION v2",
        "COMPRESSION uncompressed",
        "COMPRESSION gzip",
        "COMPRESSION zstd, COMPRESSION_LEVEL 19",
        "COMPRESSION brotli",
        "COMPRESSION lz4_raw",
        "ROW_GROUP_SIZE 1",
        "DICTIONARY_SIZE_LIMIT 1, PARQUET_VERSION v2",
    ],
)
def test_duckdb(tmp_path, options):
    path = quoted(tmp_path / "file.parquet")
    duckdb.sql(f"COPY ({DUCKDB_ROWS}) TO {path} (FORMAT parquet{', ' if options else ''}{options})")
    same(ours(f"FROM {path}"), theirs(f"FROM {path}"))


@pytest.mark.parametrize(
    "options", [{}, {"compression": "lz4"}, {"statistics": "full"}, {"row_group_size": 7}], ids=str
)
def test_polars(tmp_path, options):
    path = tmp_path / "file.parquet"
    frame = (
        pl.from_arrow(ORDINARY)
        .with_columns(
            pl.col("t").cast(pl.Categorical).alias("c"),
            pl.col("n").cast(pl.Decimal(20, 3)).alias("dec"),
            pl.col("n").cast(pl.Duration("us")).alias("dur"),
            pl.col("n").cast(pl.Datetime("ns", "Europe/Berlin")).alias("tz"),
            pl.col("n").cast(pl.Int128).alias("wide"),
            pl.col("n").cast(pl.Time).alias("time"),
        )
        .head(200)
    )
    frame.drop("wide").write_parquet(path, **options)
    same_values(ours(f"FROM {quoted(path)}"), frame.drop("wide").to_arrow())


# Types that only DuckDB writes, or that it writes in a way of its own.
DUCKDB_VALUES = {
    "huge integer": "170141183460469231731687303715884105727::HUGEINT",
    "unsigned huge integer": "1::UHUGEINT",
    "time with zone": "'10:00:00+02'::TIMETZ",
    "interval": "INTERVAL '1 month 2 days 3.5 seconds'",
    "enum": "'a'::ENUM('a', 'b')",
    "bits": "'0101'::BIT",
    "json": "'{}'::JSON",
    "time of nanoseconds": "'10:00:00.123456789'::TIME_NS",
    "timestamp without end": "'infinity'::TIMESTAMP",
    "date without end": "'-infinity'::DATE",
    "date before year one": "'0044-03-15 (BC)'::DATE",
    "array": "[1, 2, 3]::INTEGER[3]",
    "map of numbers": "MAP {1: 'a', 2: NULL}",
    "empty map": "MAP {}",
    "maps in lists": "[MAP {'k': [1]}]",
    "union": "union_value(a := 1)",
    "number without end": "1::BIGNUM",
}


@pytest.mark.parametrize("name", DUCKDB_VALUES)
def test_values_of_duckdb(tmp_path, name):
    path = quoted(tmp_path / "file.parquet")
    duckdb.sql(f"COPY (SELECT {DUCKDB_VALUES[name]} AS a) TO {path} (FORMAT parquet)")
    same(ours(f"FROM {path}"), theirs(f"FROM {path}"))


def test_intervals_in_lists(tmp_path):
    # The Parquet crate would leave out the months.
    path = tmp_path / "file.parquet"
    duckdb.sql(f"COPY (SELECT [INTERVAL 1 MONTH] AS a) TO {quoted(path)} (FORMAT parquet)")
    fails(f"FROM {quoted(path)}", path, "'a' has intervals inside")


def test_integers_of_polars(tmp_path):
    # Bytes to all who do not know polars' schema beside Parquet's own.
    path = tmp_path / "file.parquet"
    pl.DataFrame({"a": [1, None]}, schema={"a": pl.Int128}).write_parquet(path)
    same(ours(f"FROM {quoted(path)}"), theirs(f"FROM {quoted(path)}"))


def damaged(data, chance):
    """The bytes of a file with some of them changed, or without its end."""
    if chance.random() < 0.3:
        return data[: chance.randrange(len(data))]
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 3, 20])):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("seed", range(6))
def test_damage(tmp_path, seed):
    """A damaged file is an error or reads as something; it never ends the process and
    never takes long."""
    whole, chance = tmp_path / "whole.parquet", random.Random(seed)
    options = [{}, {"use_dictionary": False, "compression": "none"}, {"data_page_version": "2.0"}]
    pq.write_table(ORDINARY.slice(0, 500), whole, **options[seed % 3])
    for number in range(20):
        path = tmp_path / f"damaged{number}.parquet"
        path.write_bytes(damaged(whole.read_bytes(), chance))
        with contextlib.suppress(SheafError):
            ours(f"FROM {quoted(path)}")


def test_damaged_pages(tmp_path):
    # Values that differ: equal ones are known from statistics, without the pages.
    sound, broken = tmp_path / "sound.parquet", tmp_path / "broken.parquet"
    for path in [sound, broken]:
        pq.write_table(pa.table({"a": [f"text{i}" for i in range(10)]}), path)
    data = bytearray(broken.read_bytes())
    data[4:60] = b"\xff" * 56
    broken.write_bytes(data)
    fails(f"FROM {quoted(broken)}", broken)
    fails(f"CREATE TABLE t AS FROM {quoted(broken)}", broken)
    fails(f"FROM read_parquet([{quoted(sound)}, {quoted(broken)}])", broken)


@pytest.mark.parametrize("length", [0, 3, 4, 8, 11, 12, 100])
def test_truncated(tmp_path, length):
    path = tmp_path / "file.parquet"
    pq.write_table(ORDINARY, path)
    path.write_bytes(path.read_bytes()[:length])
    fails(f"FROM {quoted(path)}", path)


def test_not_parquet(tmp_path):
    path = tmp_path / "file.parquet"
    path.write_text("a,b\n1,2\n" * 100)
    fails(f"FROM {quoted(path)}", path)
