"""CSV files as people and programs write them, read by Sheaf and by DuckDB."""

import csv
import gzip
import random
import string
from math import inf, nan

import pytest
from support import expect, expect_columns, fails, ours, quoted, same, sheaf, theirs, zstd

# name: (text, options of read_csv in both dialects of SQL)
AS_DUCKDB = {
    # How records are written.
    "byte order mark": (b"\xef\xbb\xbfa,b\n1,x\n2,y\n",),
    "carriage return and line feed": ("a,b\r\n1,x\r\n2,y\r\n",),
    "carriage return only": ("a,b\r1,x\r2,y\r",),
    "no line end at the end": ("a,b\n1,x\n2,y",),
    "semicolon": ("a;b;c\n1;x;2.5\n2;y;3.75\n",),
    "bar": ("a|b\n1|x\n2|y\n",),
    "tab": ("a\tb\n1\tx y\n2\ty\n",),
    "another delimiter": ("a~b\n1~x\n2~y\n", ("delim", "'~'")),
    "short records, padded": ("a,b,c\n1,2,3\n4,5\n", ("null_padding", "true")),
    "backslash as escape": ('a,b\n1,"x \\"y\\" z"\n2,"p"\n3,"a,\\"b"\n',),
    "backslash that is told": ('a,b\n1,"x \\"y"\n', ("escape", "'\\'")),
    "single quotes": ("a,b\n1,'x,y'\n2,'it''s'\n",),
    "quotes in the middle": ('a,b\n1,x"y"z\n2,5" pipe\n',),
    "everything in quotes": ('"a","b"\n"1","x"\n"2","y"\n',),
    "empty lines": ("a,b\n\n1,x\n\n\n2,y\n\n",),
    "empty lines of one number": ("a\n1\n\n3\n",),
    "empty lines of one text": ("a\nx\n\nz\n",),
    "blanks around": ("a , b\n 1 , x \n 2, y\n",),
    "comments": ("# hello\na,b\n1,x\n# mid\n2,y\n", ("comment", "'#'")),
    "lines before the header": ("a report of\n\na,b\n1,2\n3,4\n",),
    "lines that are skipped": ("x,y,z\nx\na,b\n1,2\n", ("skip", "2")),
    "delimiter at the end": ("a,b,\n1,2,\n3,4,\n",),
    "nul in a text": (b"a,b\n1,x\x00y\n2,z\n",),
    "one column with other delimiters": ("name\na;b\nc;d\n",),
    "colons are text": ("a:b\n1:2\n3:4\n",),
    # Names of columns.
    "no header": ("1,x\n2,y\n3,z\n",),
    "no header that is told": ("a,b\n1,2\n", ("header", "false")),
    "text only": ("x,y\nz,w\n",),
    "header only": ("a,b\n",),
    "header only without line end": ("a,b",),
    "the same name twice": ("a,a,A,b\n1,2,3,4\n5,6,7,8\n",),
    "names that differ in case": ("A,a\n1,2\n",),
    "empty names": ("a,,b,\n1,2,3,4\n5,6,7,8\n",),
    "unicode": ("naïve,日本,🦀\nä,語,🦀🦀\nö,x,é\n",),
    "names in quotes": ('"a b","c""d","e\nf"\n1,2,3\n',),
    "numbers as names": ("2019,2020\nx,y\nz,w\n",),
    "numbers above numbers": ("2019,2020\n1,2\n3,4\n",),
    "blanks in names": (" first name , last\n1,2\n3,4\n",),
    "reserved words": ("select,from\n1,2\n",),
    # Types of columns.
    "integers": ("a,b\n1,9223372036854775807\n-2,-9223372036854775808\n",),
    "integers of more than 64 bits": ("a,b\n9223372036854775808,9\n1," + "9" * 38 + "\n",),
    "integers with plus": ("a\n+1\n+2\n",),
    "decimals": ("a,b\n1.50,1\n2.25,2.5\n",),
    "points without digits beside": ("a\n.5\n5.\n",),
    "scientific": ("a\n1e5\n2.5E-3\n-1e+10\n",),
    "minus zero": ("a\n-0\n-0.0\n",),
    "underscores": ("a\n1_000\n2_000\n",),
    "separators of thousands": ('a,b\n"1,000",1\n"2,000",2\n',),
    "money": ("a\n$1.50\n$2\n",),
    "percent": ("a\n10%\n20%\n",),
    "zip codes": ("zip,n\n01234,1\n99999,2\n",),
    "zip codes of zeros": ("zip,n\n00000,1\n00001,2\n",),
    "true and false": ("a,b,c\ntrue,True,TRUE\nfalse,False,FALSE\n",),
    "letters for true and false": ("a,b\nY,1\nN,2\n",),
    "ones and zeros": ("a\n1\n0\n",),
    "dates": ("a\n2024-02-29\n2023-12-31\n0001-01-01\n9999-12-31\n",),
    "dates with slashes": ("a\n2024/01/31\n2024/02/15\n",),
    "day before month": ("a\n31/01/2024\n15/02/2024\n",),
    "month before day": ("a\n01/31/2024\n02/15/2024\n",),
    "day or month": ("a\n01/02/2024\n03/04/2024\n",),
    "dates with points": ("a\n31.01.2024\n15.02.2024\n",),
    "digits as dates": ("a\n20240131\n20240229\n",),
    "years": ("a\n2024\n2023\n",),
    "names of months": ("a\n31-Jan-2024\n",),
    "no such day": ("a\n2023-02-29\n2024-02-30\n",),
    "timestamps": ("a\n2024-01-31 10:00:00\n2024-02-29T23:59:59.123456\n",),
    "timestamps with offsets": ("a\n2024-01-31 10:00:00+02:00\n2024-02-29T23:59:59Z\n",),
    "offsets without colon": ("a\n2024-01-31 10:00:00+0200\n2024-01-31 10:00:00-05\n",),
    "timestamps, some with zone": ("a\n2024-01-31 10:00:00\n2024-02-29T23:59:59Z\n",),
    "leap seconds": ("a\n2024-12-31 23:59:60\n",),
    "times of day": ("a,b\n10:00:00,10:00\n23:59:59.5,23:59\n",),
    "uuid": ("a\n01234567-89ab-cdef-0123-456789abcdef\n" + "f" * 8 + "-ffff" * 3 + "-" + "f" * 12,),
    "json in fields": ('a,b\n1,"{""x"": [1,2]}"\n2,"[]"\n',),
    "integers and fractions": ("a\n1\n2.5\n3\n",),
    "numbers and text": ("a\n1\nx\n",),
    "dates and text": ("a\n2024-01-01\nsoon\n",),
    "true and one": ("a\ntrue\n1\n",),
    # NULL.
    "empty fields": ("a,b\n1,x\n,\n3,z\n",),
    "columns of empty fields": ("a,b\n1,\n2,\n",),
    "the word NULL": ("a,b\n1,x\nNULL,NULL\n3,z\n",),
    "the word NA": ("a,b\n1,x\nNA,NA\n3,z\n",),
    "a spelling of NULL": ("a,b\n1,x\nNA,NA\n3,z\n", ("nullstr", "'NA'")),
    "spellings of NULL": ("a,b\n1,x\nNA,-\n,z\n", ("nullstr", "['NA', '-', '']")),
    # Options.
    "all as text": ("a,b\n1,2024-01-01\n", ("all_varchar", "true")),
    "types that are told": ("a,b\n1,2\n", ("types", "{'a': 'DOUBLE', 'b': 'VARCHAR'}")),
    "names that are told": ("1,2\n3,4\n", ("names", "['x', 'y']")),
    "another quote": ("a,b\n1,~x,y~\n", ("quote", "'~'")),
    "no quote": ('a,b\n1,"x\n2,y"\n', ("quote", "''")),
}


def written(folder, data, name="file.csv"):
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize("name", AS_DUCKDB)
def test_as_duckdb(tmp_path, name):
    data, *options = AS_DUCKDB[name]
    path = quoted(written(tmp_path, data))
    mine = ours(f"FROM read_csv({path}" + "".join(f", {key} => {v}" for key, v in options) + ")")
    peer = theirs(f"FROM read_csv({path}" + "".join(f", {key} = {v}" for key, v in options) + ")")
    same(mine, peer)


# name: (text, columns). Where DuckDB differs the reason is given.
AS_STATED = {
    # DuckDB finds no dialect; each of the line ends is one.
    "mixed line ends": (
        "a,b\n1,x\r\n2,y\r3,z",
        {"a": ("int", [1, 2, 3]), "b": ("text", ["x", "y", "z"])},
    ),
    # DuckDB takes "" for NULL. An empty text can only be written so, and PostgreSQL
    # reads and writes it so.
    "quoted and empty": (
        'a,b\n1,""\n2,\n"",x\n',
        {"a": ("int", [1, 2, None]), "b": ("text", ["", None, "x"])},
    ),
    "quotes in quotes": (
        'a,b\n1,"x ""y"" z"\n2,""""\n3,""\n4,"a,b"\n5,"l1\nl2"\n',
        {"a": ("int", [1, 2, 3, 4, 5]), "b": ("text", ['x "y" z', '"', "", "a,b", "l1\nl2"])},
    ),
    # DuckDB has a number type without end; a table has none beyond 38 digits.
    "integers of more than 38 digits": ("a\n1" + "0" * 42 + "\n1\n", {"a": ("float", [1e42, 1.0])}),
    # DuckDB takes t, f, yes and no for booleans. Countries, genders and answers in a
    # survey are written so, and the next file may have a third letter.
    "letters": (
        "a,b,c\nt,yes,T\nf,no,F\n",
        {"a": ("text", ["t", "f"]), "b": ("text", ["yes", "no"]), "c": ("text", ["T", "F"])},
    ),
    # DuckDB reads 2061 and 2015 out of these.
    "years of two digits": ("a\n31/01/61\n15/02/15\n", {"a": ("text", ["31/01/61", "15/02/15"])}),
    # DuckDB cuts the digits off; we round as PostgreSQL does.
    "nanoseconds": (
        "a\n2024-01-31 10:00:00.123456789\n",
        {"a": ("timestamp", [1706695200123457000])},
    ),
    # DuckDB knows the zone's name; a file of names would need the zone's rules to read.
    "names of zones": (
        "a\n2024-01-31 10:00:00 Europe/Berlin\n",
        {"a": ("text", ["2024-01-31 10:00:00 Europe/Berlin"])},
    ),
    # DuckDB makes these a column of text.
    "infinity": ("a\ninf\n-inf\nnan\n1.5\n", {"a": ("float", [inf, -inf, nan, 1.5])}),
    "Infinity": ("a\nInfinity\n-Infinity\nNaN\n1.5\n", {"a": ("float", [inf, -inf, nan, 1.5])}),
    # DuckDB makes these a column of text; midnight is what a date is as a timestamp.
    "dates and timestamps": (
        "a\n2024-01-01\n2024-01-01 10:00:00\n",
        {"a": ("timestamp", [1704067200 * 10**9, 1704103200 * 10**9])},
    ),
    # DuckDB reads 31 and 32. Identifiers and colours are written so more often.
    "hexadecimal": ("a\n0x1F\n0x20\n", {"a": ("text", ["0x1F", "0x20"])}),
    # Numbers with a comma are text: which of comma and point separates thousands is
    # not said. The delimiter is the semicolon all the same.
    "decimal commas": (
        "a;b\n1;2,5\n2;-3,75\n",
        {"a": ("int", [1, 2]), "b": ("text", ["2,5", "-3,75"])},
    ),
}


@pytest.mark.parametrize("name", AS_STATED)
def test_as_stated(tmp_path, name):
    data, columns = AS_STATED[name]
    expect_columns(f"FROM {quoted(written(tmp_path, data))}", columns)


def test_quoted_null_is_text(tmp_path):
    # DuckDB makes NULL of both; PostgreSQL, as we do, of the one without quotes.
    path = quoted(written(tmp_path, 'a,b\n1,"NA"\n2,NA\n'))
    expect(f"FROM read_csv({path}, nullstr => 'NA')", a=("int", [1, 2]), b=("text", ["NA", None]))


@pytest.mark.parametrize(
    "data, line, parts",
    [
        ("a,b,c\n1,2,3\n4,5\n", 3, ["2 fields", "3 are expected"]),
        ("a,b\n1,2\n4,5,6\n", 3, ["3 fields", "2 are expected"]),
        ('a,b\n1,"x"y\n2,z\n', 2, ["closing quote"]),
        ('a,b\n1,x\n2,"y\n3,z\n', 3, ["never closed"]),
        (b"a,b\n1,x\n2,\xe9\n", 3, ["'b'", "not UTF-8"]),
    ],
)
def test_records_that_are_none(tmp_path, data, line, parts):
    path = written(tmp_path, data)
    fails(f"FROM {quoted(path)}", path, f"line {line}", *parts)


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"\n", b"\r\n\r\n"])
def test_empty(tmp_path, data):
    # DuckDB invents a column of text. A file without a header has lost something.
    path = written(tmp_path, data)
    fails(f"FROM {quoted(path)}", path, "is empty")
    columns = "columns => {'a': 'BIGINT', 'b': 'TEXT'}"
    expect(f"FROM read_csv({quoted(path)}, {columns})", a=("int", []), b=("text", []))


def test_utf16(tmp_path):
    path = written(tmp_path, "a,b\n1,x\n".encode("utf-16"))
    fails(f"FROM {quoted(path)}", path, "UTF-16")


def test_errors_name_file_line_column_and_value(tmp_path):
    path = written(tmp_path, "n,t\n" + "1,x\n" * 30_000 + "1x,y\n")
    query = f"SELECT sum(n) AS s FROM read_csv({quoted(path)}, types => {{'n': 'BIGINT'}})"
    fails(query, path, "line 30002", "'n'", "'1x'")


def test_columns_are_widened_by_later_rows(tmp_path):
    # The odd value is beyond any sample of the begin.
    path = written(tmp_path, "a,b\n" + "1,2024-01-01\n" * 300_000 + "2.5,never\n")
    table = f"read_csv({quoted(path)}, sample_size => -1)"
    expect(
        f"SELECT sum(a) AS s, max(b) AS b, count(*) AS n FROM {table}",
        s=("float", [300_002.5]),
        b=("text", ["never"]),
        n=("int", [300_001]),
    )


def test_rows_that_do_not_parse_are_skipped(tmp_path):
    path = written(tmp_path, "n,d\n1,2024-01-01\nx,2024-01-02\n3,never\n4\n5,2024-01-05\n")
    columns = "columns => {'n': 'BIGINT', 'd': 'DATE'}"
    result, rejects = sheaf(
        f"SELECT n FROM read_csv({quoted(path)}, {columns}, on_error => 'skip')",
        "SELECT line, column_name, value FROM sheaf.rejects ORDER BY line",
    )
    assert result.to_pydict() == {"n": [1, 5]}
    assert rejects.to_pydict() == {
        "line": [3, 4, 5],
        "column_name": ["n", "d", None],
        "value": ["x", "never", "4"],
    }


def test_copy_skips_rows(tmp_path):
    path = written(tmp_path, "n\n1\nx\n3\n")
    *_, rows, rejects = sheaf(
        "CREATE TABLE t (n BIGINT)",
        f"COPY t FROM {quoted(path)} (ON_ERROR skip)",
        "FROM t",
        "FROM sheaf.rejects",
    )
    assert rows.to_pydict() == {"n": [1, 3]}
    assert rejects.num_rows == 1


def test_quoted_line_ends_across_blocks(tmp_path):
    # Blocks are megabytes long; fields of all lengths put each kind of byte at a border.
    chance = random.Random(1)
    texts = ["".join(chance.choices('ab,"\n\r', k=chance.randrange(2_000))) for _ in range(6_000)]
    path = tmp_path / "file.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_NONNUMERIC).writerows([("n", "t"), *enumerate(texts)])
    path = quoted(path)
    mine = ours(f"FROM {path}")
    assert mine.column("n").to_pylist() == list(range(6_000))
    assert mine.column("t").to_pylist() == texts


def test_huge_fields(tmp_path):
    text = "x" * 5_000_000
    path = quoted(written(tmp_path, f'a,b\n1,{text}\n2,"{text}\n{text}"\n3,\n'))
    table = ours(f"FROM {path}")
    assert table.to_pydict() == {"a": [1, 2, 3], "b": [text, f"{text}\n{text}", None]}


def test_many_columns(tmp_path):
    names = [f"c{n}" for n in range(10_000)]
    rows = [[str(n * row) for n in range(10_000)] for row in range(3)]
    path = quoted(written(tmp_path, "\n".join(",".join(row) for row in [names, *rows])))
    # Not all of them: the planner's time is the square of the columns in a SELECT.
    expect(
        f"SELECT c77, c9998 FROM {path}", c77=("int", [0, 77, 154]), c9998=("int", [0, 9998, 19996])
    )


@pytest.mark.parametrize("ending, pack", [(".gz", gzip.compress), (".zst", zstd)])
def test_compressed(tmp_path, ending, pack):
    text = ("a,b\n" + "".join(f"{n},x{n}\n" for n in range(30_000))).encode()
    plain = written(tmp_path, text)
    half = len(text) // 2
    # Two members are one text, wherever it is cut.
    for data in [pack(text), pack(text[:half]) + pack(text[half:]), pack(text) + pack(b"")]:
        path = written(tmp_path, data, f"file.csv{ending}")
        same(ours(f"FROM {quoted(path)}"), theirs(f"FROM {quoted(plain)}"))
    for damaged in [pack(text)[:-20], pack(text)[: len(pack(text)) // 2]]:
        path = written(tmp_path, damaged, f"file.csv{ending}")
        fails(f"SELECT count(a) FROM {quoted(path)}", path)


def test_random_text(tmp_path):
    """Any text that Python's csv writes reads back as it was."""
    chance = random.Random(2)
    alphabet = string.printable + "äß日🦀\u2028"
    rows = [
        ["x" + "".join(chance.choices(alphabet, k=chance.randrange(12))) for _ in range(5)]
        for _ in range(2_000)
    ]
    for delimiter in ",;|\t":
        path = tmp_path / "random.csv"
        with path.open("w", newline="") as file:
            csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
        table = ours(f"FROM read_csv({quoted(path)}, header => false, all_varchar => true)")
        assert [list(row.values()) for row in table.to_pylist()] == rows
