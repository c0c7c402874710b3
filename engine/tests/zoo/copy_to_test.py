"""What `COPY … TO` writes is what others read: DuckDB, pyarrow and polars."""

import json

import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import samples
from support import ours, quoted, same, sheaf, theirs

PACKED = ["", ".gz", ".zst"]

# Values that are hard to write as text, and NULL.
ROWS = r"""
(SELECT n, t, CAST(f AS DOUBLE) AS f, CAST(d AS DECIMAL(12, 2)) AS d, b, CAST(day AS DATE) AS day,
    CAST(ts AS TIMESTAMP) AS ts
FROM (VALUES
    (1, 'plain', '1.5', '1.50', true, '2024-02-29', '2024-02-29 12:00:00.25'),
    (2, 'comma, "quote" and ''quote''', '-0.0', '-99.99', false, '0001-01-01', '1969-12-31 23:59:59.999999'),
    (3, 'line' || chr(10) || 'end' || chr(13) || chr(10), '1e300', '0.01', true, '9999-12-31', '9999-12-31 00:00:00'),
    (4, '', '1e-300', '0', NULL, NULL, NULL),
    (-9223372036854775808, '  blanks  ', '0.1', '12345678.90', true, '1970-01-01', '1970-01-01 00:00:00'),
    (9223372036854775807, 'NULL', '123456789.123456789', NULL, NULL, NULL, NULL),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (8, 'äß日🦀' || chr(9) || '\n', '3', '5', false, '2000-01-01', '2000-01-01 00:00:00')
) AS v(n, t, f, d, b, day, ts))
"""
TYPES = (
    "{'n': 'BIGINT', 't': 'TEXT', 'f': 'DOUBLE', 'd': 'DECIMAL(12,2)', 'b': 'BOOLEAN',"
    " 'day': 'DATE', 'ts': 'TIMESTAMP'}"
)


def copied(path, options="", query=ROWS):
    """What was written, and where it is."""
    (rows,) = sheaf(f"COPY {query} TO {quoted(path)}{options}", f"SELECT * FROM {query} AS q")[-1:]
    return rows, quoted(path)


# The writer's option, and the same for readers.
CSV_OPTIONS = {
    "": {},
    " (DELIMITER ';')": {"delim": "';'"},
    " (HEADER false)": {"header": "false"},
    " (NULL 'nix')": {"nullstr": "'nix'"},
}


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("options", CSV_OPTIONS)
def test_csv(tmp_path, packed, options):
    rows, path = copied(tmp_path / f"file.csv{packed}", options)
    reading = {"columns": TYPES, **CSV_OPTIONS[options]}
    same(
        rows,
        ours(f"FROM read_csv({path}" + "".join(f", {k} => {v}" for k, v in reading.items()) + ")"),
    )
    # DuckDB is told everything, as its guesses are not what is tested here.
    told = {
        "auto_detect": "false",
        "quote": "'\"'",
        "escape": "'\"'",
        "allow_quoted_nulls": "false",
    }
    told |= {"header": "true", "delim": "','", "nullstr": "''"} | reading
    same(
        rows,
        theirs(f"FROM read_csv({path}" + "".join(f", {k} = {v}" for k, v in told.items()) + ")"),
    )


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize(
    "ending, options", [("ndjson", ""), ("json", " (ARRAY true)"), ("json", "")]
)
def test_json(tmp_path, packed, ending, options):
    rows, path = copied(tmp_path / f"file.{ending}{packed}", options)
    same(rows, theirs(f"FROM read_json({path}, columns = {TYPES})"))
    same(rows, ours(f"FROM read_json({path}, types => {TYPES})"))


def test_json_of_nested_values(tmp_path):
    query = "(SELECT [1, NULL, 3] AS l, {'x': 1, 'y': ['a', NULL]} AS s, [{'k': 'v\"w'}] AS ls)"
    rows, path = copied(tmp_path / "file.ndjson", query=query)
    same(rows, theirs(f"FROM read_json({path})"))
    line = json.loads((tmp_path / "file.ndjson").read_text())
    assert line == {"l": [1, None, 3], "s": {"x": 1, "y": ["a", None]}, "ls": [{"k": 'v"w'}]}


@pytest.mark.parametrize(
    "options",
    [
        "",
        *(f" (COMPRESSION {c})" for c in ("none", "snappy", "gzip", "zstd", "lz4")),
        " (ROW_GROUP_SIZE 2)",
    ],
)
def test_parquet(tmp_path, options):
    path = tmp_path / "file.parquet"
    rows, name = copied(path, options)
    same(rows, theirs(f"FROM {name}"))
    same(rows, pq.read_table(path))
    same(rows, pl.read_parquet(path).to_arrow())
    same(rows, ours(f"FROM {name}"))


@pytest.mark.parametrize("ending", ["arrow", "arrows"])
@pytest.mark.parametrize("packed", PACKED)
def test_arrow(tmp_path, ending, packed):
    path = tmp_path / f"file.{ending}{packed}"
    rows, name = copied(path)
    same(rows, ours(f"FROM {name}"))
    # The footer of a file is found from its end, which a compressed file has none of
    # until it is read: that is a stream.
    is_file = ending == "arrow" and not packed
    reading = pa.ipc.open_file if is_file else pa.ipc.open_stream
    data = pa.input_stream(
        path, compression={"": None, ".gz": "gzip", ".zst": "zstd"}[packed]
    ).read()
    same(rows, reading(data).read_all())
    read = pl.read_ipc if is_file else pl.read_ipc_stream
    same(rows, read(data).to_arrow())


@pytest.mark.parametrize("ending", ["parquet", "arrow", "arrows"])
def test_every_type_goes_through(tmp_path, ending):
    """What comes out of one file and goes into another is the same in both."""
    source, path = tmp_path / "source.arrow", tmp_path / f"file.{ending}"
    table = samples.wide_table(200)
    if ending == "parquet":
        # Parquet has no durations.
        table = table.select([name for name in table.column_names if "duration" not in name])
    with pa.ipc.new_file(source, table.schema) as writer:
        writer.write_table(table)
    sheaf(f"COPY (FROM {quoted(source)}) TO {quoted(path)}")
    same(ours(f"FROM {quoted(path)}"), table)


@pytest.mark.parametrize("ending", ["csv", "ndjson", "parquet", "arrow", "arrows"])
def test_no_rows(tmp_path, ending):
    path = quoted(tmp_path / f"file.{ending}")
    sheaf(f"COPY (SELECT 1 AS a, 'x' AS b WHERE false) TO {path}")
    if ending == "ndjson":
        assert (tmp_path / "file.ndjson").read_bytes() == b""
    else:
        assert ours(f"FROM {path}").num_rows == 0
        assert ours(f"FROM {path}").column_names == ["a", "b"]


@pytest.mark.parametrize("ending", ["csv", "ndjson", "parquet", "arrow"])
def test_order_of_rows(tmp_path, ending):
    path = quoted(tmp_path / f"file.{ending}")
    query = "SELECT value AS n, 'text ' || value AS t FROM generate_series(1, 200000) AS s(value) ORDER BY value DESC"
    sheaf(f"COPY ({query}) TO {path}")
    assert ours(f"SELECT n FROM {path}").column("n").to_pylist() == list(range(200_000, 0, -1))


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "ndjson", "parquet", "arrow"])
def test_folders(tmp_path, ending):
    """Folders of values that need escapes, that are empty and that are NULL."""
    query = """
    (SELECT value AS n, CASE value % 5 WHEN 0 THEN NULL WHEN 1 THEN 'a/b=c' WHEN 2 THEN 'ä %' WHEN 3 THEN 'x y' ELSE 'plain' END AS k,
     value % 3 AS m FROM generate_series(1, 100) AS s(value))
    """
    folder = tmp_path / "parts"
    kind, _, packed = ending.partition(".")
    compression = ", COMPRESSION gzip" if packed else ""
    sheaf(f"COPY {query} TO {quoted(folder)} (FORMAT {kind}, PARTITION_BY (k, m){compression})")
    files = quoted(f"{folder}/*/*/*.{ending.replace('ndjson', 'json')}")
    mine = ours(f"SELECT n, k, m FROM {files} ORDER BY n")
    same(mine, ours(f"SELECT * FROM {query} AS q ORDER BY n"))
    if kind == "arrow":
        peer = (
            pyarrow.dataset.dataset(folder, format="ipc", partitioning="hive")
            .to_table()
            .sort_by("n")
        )
        assert peer.column("n").to_pylist() == list(range(1, 101))
        return
    reader = {"csv": "read_csv", "ndjson": "read_json", "parquet": "read_parquet"}[kind]
    same(
        mine, theirs(f"SELECT n, k, m FROM {reader}({files}, hive_partitioning = true) ORDER BY n")
    )
