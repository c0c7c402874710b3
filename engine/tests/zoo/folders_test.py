"""Several files as one table: globs, lists, folders named after values, unions."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import expect, fails, ours, quoted, same, sheaf, theirs

# How DuckDB writes a file, and the function that both read it with.
KINDS = {
    "csv": ("FORMAT csv, HEADER true", "read_csv"),
    "json": ("FORMAT json", "read_json"),
    "parquet": ("FORMAT parquet", "read_parquet"),
}


def write(path, query, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.sql(f"COPY ({query}) TO {quoted(path)} ({KINDS[kind][0]})")


# DuckDB puts the folders in the order of their names, we in that of the path, and
# month=01 is text to it, since 2.0, and a number to us, as it is to Hive and Spark.
YEARS = "n, t, year, CAST(month AS BIGINT) AS month"


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def years(tmp_path, kind):
    """Files in folders of years and months."""
    for year in (2023, 2024):
        for month in (1, 2, 11):
            path = tmp_path / f"year={year}" / f"month={month:02}" / f"part.{kind}"
            write(
                path,
                f"SELECT {year} * 100 + {month} AS n, 'x' || range AS t FROM range({month})",
                kind,
            )
    return tmp_path


def both(kind, path, options=(), order="ALL", columns="*"):
    reader = KINDS[kind][1]
    mine = "".join(f", {name} => {value}" for name, value in options)
    peer = "".join(f", {name} = {value}" for name, value in options)
    select = f"SELECT {columns} FROM {reader}({quoted(path)}"
    table = ours(f"{select}{mine}) ORDER BY {order}")
    same(table, theirs(f"{select}{peer}) ORDER BY {order}"))
    return table


@pytest.mark.parametrize(
    "glob", ["*/*/*.{}", "**/*.{}", "year=202[34]/month=0?/part.{}", "year=2024/**/part.{}"]
)
def test_globs(years, kind, glob):
    both(kind, f"{years}/{glob.format(kind)}", order="year, month, n, t", columns=YEARS)


def test_a_list_of_files(years, kind):
    files = [f"{years}/year=2024/month=11/part.{kind}", f"{years}/year=2023/*/part.{kind}"]
    both(kind, files, order="year, month, n, t", columns=YEARS)


def test_no_such_files(tmp_path, kind):
    fails(f"FROM {quoted(f'{tmp_path}/*.{kind}')}", "no file matches", tmp_path)
    fails(f"FROM {quoted(f'{tmp_path}/none.{kind}')}", tmp_path)


def test_types_of_folders(tmp_path, kind):
    for value in ("2024-01-01", "2024-02-29"):
        write(tmp_path / f"day={value}" / "k=ä%20b" / f"f.{kind}", "SELECT 1 AS n", kind)
    both(kind, f"{tmp_path}/*/*/*.{kind}", order="day")


def test_null_in_folders(tmp_path, kind):
    write(tmp_path / "k=__HIVE_DEFAULT_PARTITION__" / f"f.{kind}", "SELECT 1 AS n", kind)
    write(tmp_path / "k=7" / f"f.{kind}", "SELECT 2 AS n", kind)
    both(kind, f"{tmp_path}/*/*.{kind}", order="n")


def test_folders_that_are_not_read(years, kind):
    both(kind, f"{years}/*/*/*.{kind}", [("hive_partitioning", "false")], order="n, t")


def test_filters_on_folders(years, kind):
    table = quoted(f"{years}/*/*/*.{kind}")
    query = f"SELECT year, count(*) AS n FROM {table} WHERE CAST(month AS BIGINT) = 11 OR year < 2024 GROUP BY year ORDER BY year"
    same(ours(query), theirs(query))


def test_filename(years, kind):
    both(
        kind,
        f"{years}/year=2024/*/*.{kind}",
        [("filename", "true")],
        order="n, t",
        columns=f"{YEARS}, filename",
    )


def test_union_by_name(tmp_path, kind):
    write(tmp_path / f"1.{kind}", "SELECT 1 AS a, 'x' AS b", kind)
    write(tmp_path / f"2.{kind}", "SELECT 2.5::DOUBLE AS a, DATE '2024-01-01' AS c", kind)
    write(tmp_path / f"3.{kind}", "SELECT 'y' AS b, 3 AS a", kind)
    both(kind, f"{tmp_path}/*.{kind}", [("union_by_name", "true")], order="a")


def test_columns_in_another_order(tmp_path, kind):
    write(tmp_path / f"1.{kind}", "SELECT 1 AS a, 'x' AS b", kind)
    write(tmp_path / f"2.{kind}", "SELECT 'y' AS b, 2 AS a", kind)
    # DuckDB takes the columns of CSV by their place, we take those of all files by name.
    expect(
        f"FROM {quoted(f'{tmp_path}/*.{kind}')} ORDER BY a",
        a=("int", [1, 2]),
        b=("text", ["x", "y"]),
    )


def test_a_file_that_lacks_a_column(tmp_path, kind):
    write(tmp_path / f"1.{kind}", "SELECT 1 AS a, 'x' AS b", kind)
    write(tmp_path / f"2.{kind}", "SELECT 2 AS a", kind)
    if kind == "json":
        # A key may be missing from any object.
        both(kind, f"{tmp_path}/*.json", order="a")
    elif kind == "csv":
        fails(f"FROM {quoted(f'{tmp_path}/*.{kind}')}", "2.", "'b'")


@pytest.mark.parametrize("options", ["", ", filename => true", ", union_by_name => true"])
def test_null_in_later_files(tmp_path, options):
    # Writers such as Spark say of a column that it has no NULL, file by file.
    field = pa.field("a", pa.int64(), nullable=False)
    pq.write_table(pa.table({"a": [1]}, pa.schema([field])), tmp_path / "1.parquet")
    pq.write_table(
        pa.table({"a": [None, 3]}, pa.schema([field.with_nullable(True)])), tmp_path / "2.parquet"
    )
    path = quoted(f"{tmp_path}/*.parquet")
    expect(
        f"SELECT a FROM read_parquet({path}{options}) ORDER BY a NULLS FIRST",
        a=("int", [None, 1, 3]),
    )
    expect(
        f"SELECT count(*) AS n FROM read_parquet({path}{options}) WHERE a IS NULL", n=("int", [1])
    )


def test_wider_values_in_later_files(tmp_path, kind):
    write(tmp_path / f"1.{kind}", "SELECT 1 AS a", kind)
    write(tmp_path / f"2.{kind}", "SELECT 2.5::DOUBLE AS a", kind)
    path = f"{tmp_path}/*.{kind}"
    both(kind, path, [("union_by_name", "true")], order="a")
    if kind != "parquet":
        # The types are those of the first file. DuckDB looks at all files of JSON.
        fails(f"FROM {quoted(path)}", f"2.{kind}", "line", "'a'", "2.5")


@pytest.mark.parametrize("options", ["", ", filename => true"])
def test_wider_parquet_in_later_files(tmp_path, options):
    # DuckDB cuts 2.5 to 2, too; a value must not change without a word.
    write(tmp_path / "1.parquet", "SELECT 1 AS a", "parquet")
    write(tmp_path / "2.parquet", "SELECT 2.5::DOUBLE AS a", "parquet")
    fails(f"SELECT a FROM read_parquet({quoted(f'{tmp_path}/*.parquet')}{options})", "2.parquet")


def test_names_of_files(tmp_path, kind):
    for name in ("with blank", "ä🦀", "per%20cent", "it's", "#1", "a+b&c", "[x]"):
        path = tmp_path / f"{name}.{kind}"
        write(path, "SELECT 1 AS n", kind) if "[" not in name else path.write_bytes(
            (tmp_path / f"#1.{kind}").read_bytes()
        )
        expect(f"FROM {quoted(path)}", n=("int", [1]))


def test_hidden_files_are_not_matched(tmp_path, kind):
    write(tmp_path / f".hidden.{kind}", "SELECT 1 AS n", kind)
    write(tmp_path / f"seen.{kind}", "SELECT 2 AS n", kind)
    expect(f"FROM {quoted(f'{tmp_path}/*.{kind}')}", n=("int", [2]))


def test_formats_are_told(tmp_path):
    path = tmp_path / "file.dat"
    path.write_text("a,b\n1,x\n")
    expect(f"FROM read_csv({quoted(path)})", a=("int", [1]), b=("text", ["x"]))
    expect(f"FROM read_files({quoted(path)}, format => 'csv')", a=("int", [1]), b=("text", ["x"]))


def test_empty_files_among_others(tmp_path):
    for name, text in {
        "1.csv": "a,b\n1,x\n",
        "2.csv": "",
        "3.csv": "a,b\n",
        "4.csv": "a,b\n2,y\n",
    }.items():
        (tmp_path / name).write_text(text)
    expect(
        f"FROM {quoted(f'{tmp_path}/*.csv')} ORDER BY a", a=("int", [1, 2]), b=("text", ["x", "y"])
    )
    for name, text in {"1.ndjson": '{"a":1}\n', "2.ndjson": "", "3.ndjson": '{"a":2}\n'}.items():
        (tmp_path / name).write_text(text)
    expect(f"FROM {quoted(f'{tmp_path}/*.ndjson')} ORDER BY a", a=("int", [1, 2]))


def test_copy_of_many_files(years, kind):
    rows = sheaf(
        "CREATE TABLE t (n BIGINT, t TEXT, year BIGINT)",
        f"COPY t FROM {quoted(f'{years}/*/*/*.{kind}')}",
        "SELECT year, count(*) AS n, sum(n) AS s FROM t GROUP BY year ORDER BY year",
    )[-1]
    assert rows.column("n").to_pylist() == [14, 14]
