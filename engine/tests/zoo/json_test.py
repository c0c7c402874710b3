"""JSON files as people and programs write them, read by Sheaf and by DuckDB."""

import gzip
import json
import random
from decimal import Decimal

import pytest
from support import expect, expect_columns, fails, ours, quoted, same, sheaf, theirs, zstd

# name: (text, options of read_json in both dialects of SQL)
AS_DUCKDB = {
    # How values follow each other.
    "lines": ('{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n',),
    "no line end at the end": ('{"a":1,"b":"x"}\n{"a":2,"b":"y"}',),
    "carriage returns": ('{"a":1,"b":"x"}\r\n{"a":2,"b":"y"}\r\n',),
    "empty lines": ('\n{"a":1}\n\n{"a":2}\n\n',),
    "array": ('[{"a":1,"b":"x"},{"a":2,"b":"y"}]',),
    "array over lines": ('[\n{"a":1,"b":"x"},\n{"a":2,"b":"y"}\n]\n',),
    "pretty": ('{\n "a": 1,\n "b": {\n "c": [1,\n2]}\n}\n{\n "a": 2,\n "b": {"c": []}\n}\n',),
    "one after the other": ('{"a":1}{"a":2} {"a":3}',),
    "byte order mark": (b'\xef\xbb\xbf{"a":1}\n',),
    "array of nothing": ("[]",),
    # Which columns there are.
    "missing keys": ('{"a":1}\n{"b":2}\n{"a":3,"b":4}\n',),
    "keys in another order": ('{"a":1,"b":2}\n{"b":4,"a":3}\n',),
    "keys with escapes": (r'{"\u0061":1,"b\"c":2}',),
    "values that are no objects": ("1\n2\n3\n",),
    "array of numbers": ("[1,2,3]",),
    "array of arrays": ("[[1,2],[3]]",),
    "lines of arrays": ("[1,2]\n[3]\n",),
    "lines of text": ('"x"\n"y"\n',),
    "an empty object beside others": ('{}\n{"a":1}\n',),
    "columns that are told": ('{"a":1,"b":2}\n', ("columns", "{'b': 'DOUBLE', 'c': 'VARCHAR'}")),
    # Types.
    "integers and fractions": ('{"a":1}\n{"a":2.5}\n',),
    "true and one": ('{"a":true}\n{"a":1}\n',),
    "object and list": ('{"a":{"b":1}}\n{"a":[1]}\n',),
    "object and number": ('{"a":{"b":1}}\n{"a":3}\n',),
    "bounds of integers": ('{"a":-9223372036854775808,"b":9223372036854775807,"c":-0,"d":-0.0}\n',),
    "integers of more than 63 bits": ('{"a":18446744073709551615}\n{"a":1}\n',),
    "exponents": ('{"a":1e5,"b":1E-3,"c":1.5e+10}\n',),
    "numbers in quotes": ('{"a":"1"}\n{"a":"2"}\n',),
    "dates": ('{"a":"2024-01-31"}\n',),
    "timestamps": ('{"a":"2024-01-31T10:00:00","b":"2024-01-31 10:00:00.5"}\n',),
    "timestamps with zone": ('{"a":"2024-01-31T10:00:00Z"}\n',),
    "times of day": ('{"a":"10:00:00"}\n',),
    "uuid": ('{"a":"01234567-89ab-cdef-0123-456789abcdef"}\n',),
    "empty text": ('{"a":""}\n',),
    # Text.
    "escapes": (r'{"a":"\u00e9\n\t\"\\\/\b\f\r"}',),
    "surrogates": (r'{"a":"\ud83e\udd80"}',),
    "nul": (r'{"a":"x\u0000y"}',),
    "unicode": ('{"ключ":"日本🦀"}\n',),
    # Nesting.
    "structs in lists": ('{"a":[{"b":1,"c":["x"]},{"b":2}]}\n{"a":null}\n{"a":[null]}\n',),
    "twenty deep": ('{"a":' * 20 + "1" + "}" * 20 + "\n",),
    "empty lists": ('{"a":[]}\n{"a":[]}\n',),
    "an empty list beside others": ('{"a":[]}\n{"a":[1]}\n',),
    "an empty object inside": ('{"a":{}}\n{"a":{"b":1}}\n',),
    "many distinct keys": ("".join(f'{{"m":{{"k{n}":{n}}}}}\n' for n in range(300)),),
}


def written(folder, data, name="file.json"):
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize("name", AS_DUCKDB)
def test_as_duckdb(tmp_path, name):
    data, *options = AS_DUCKDB[name]
    path = quoted(written(tmp_path, data))
    mine = ours(f"FROM read_json({path}" + "".join(f", {key} => {v}" for key, v in options) + ")")
    peer = theirs(f"FROM read_json({path}" + "".join(f", {key} = {v}" for key, v in options) + ")")
    same(mine, peer)


# name: (text, columns). Where DuckDB differs the reason is given.
AS_STATED = {
    # DuckDB has a type of nothing but NULL; a column of a table has another.
    "nothing but null": ('{"a":null,"b":1}\n', {"a": ("text", [None]), "b": ("int", [1])}),
    # DuckDB has a type for any JSON, in which texts keep their quotes. Ours is text,
    # and a text is itself.
    "numbers and text": ('{"a":1}\n{"a":"x"}\n', {"a": ("text", ["1", "x"])}),
    "mixed lists": ('{"a":[1,"x",null,true]}\n', {"a": ("list(text)", [["1", "x", None, "true"]])}),
    "mixed values": ('1\n"x"\n{"a":1}\n', {"json": ("text", ["1", "x", '{"a":1}'])}),
    # DuckDB makes a double of it, which has not all the digits.
    "38 digits": (f'{{"a":{"9" * 38}}}\n', {"a": ("int", [Decimal("9" * 38)])}),
    # DuckDB answers infinity, which the file does not say.
    "beyond a double": ('{"a":1e400}\n', {"a": ("text", ["1e400"])}),
    # DuckDB makes text of these two ways to write the same.
    "two forms of timestamps": (
        '{"a":"1970-01-01T00:00:01"}\n{"a":"1970-01-01 00:00:00.5"}\n',
        {"a": ("timestamp", [10**9, 500_000_000])},
    ),
    # DuckDB makes maps without entries of these.
    "empty objects": ("{}\n{}\n", {"json": ("text", ["{}", "{}"])}),
    "empty objects inside": ('{"a":{}}\n{"a":{}}\n', {"a": ("text", ["{}", "{}"])}),
    # DuckDB refuses it; PostgreSQL's jsonb and JavaScript take the last, as we do.
    "the same key twice": ('{"a":1,"a":2}\n', {"a": ("int", [2])}),
    # DuckDB renames one of them; a name in quotes tells them apart.
    "keys that differ in case": ('{"a":1,"A":2}\n', {"a": ("int", [1]), "A": ("int", [2])}),
    # DuckDB makes a map of it.
    "an empty key": ('{"":1}\n', {"": ("int", [1])}),
}


@pytest.mark.parametrize("name", AS_STATED)
def test_as_stated(tmp_path, name):
    data, columns = AS_STATED[name]
    expect_columns(f"FROM {quoted(written(tmp_path, data))}", columns)


# name: (text, line, part of the message). All of it is an error in RFC 8259.
NOT_JSON = {
    "the file ends inside an object": ('{"a":1}\n{"a":2,"b"', 2, "not JSON"),
    "the file ends inside an array": ('[{"a":1},{"a":2}', 1, "ends inside the array"),
    "the file ends inside a text": ('{"a":"x', 1, "ends inside a string"),
    "a comma before a bracket": ('[{"a":1},]', 1, "after a comma"),
    # DuckDB takes this one and the next.
    "a comma before a brace": ('{"a":1,}\n', 1, "a string is expected"),
    "not a number": ('{"a":NaN}\n', 1, "'a'"),
    "single quotes": ("{'a':1}\n", 1, "a string is expected"),
    "zeros before a number": ('{"a":01}\n', 1, "zeros"),
    "comments": ('// hi\n{"a":1}\n', 1, "'// hi'"),
    "a line of something else": ('{"a":1}\nxyz\n{"a":2}\n', 2, "'xyz'"),
    "something after a value": ('{"a":1} xyz\n{"a":2}\n', 1, "'xyz'"),
    "half a surrogate": (r'{"a":"\ud83e"}', 1, "half a character"),
    "the second half of a surrogate": (r'{"a":"x\udd80y"}', 1, "half a character"),
    "control characters": (b'{"a":"x\ty"}\n', 1, "control characters"),
    "not UTF-8": (b'{"a":"\xff"}\n', 1, "not UTF-8"),
    "lists 100,000 deep": ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}\n", 1, "512 deep"),
    "objects 100,000 deep": ('{"a":' * 100_000 + "1" + "}" * 100_000, 1, "512 deep"),
    "nothing but brackets": ("[" * 100_000, 1, ""),
}


@pytest.mark.parametrize("name", NOT_JSON)
def test_not_json(tmp_path, name):
    data, line, part = NOT_JSON[name]
    path = written(tmp_path, data)
    fails(f"FROM {quoted(path)}", path, f"line {line}", part)


@pytest.mark.parametrize("data", ["", " \n "])
def test_empty(tmp_path, data):
    # DuckDB invents a column; a file of no values says nothing of any.
    path = written(tmp_path, data)
    fails(f"FROM {quoted(path)}", path, "is empty")
    expect(f"FROM read_json({quoted(path)}, columns => {{'a': 'BIGINT'}})", a=("int", []))


def test_500_deep(tmp_path):
    # DuckDB's limit is 128. What is deeper than types go is text.
    value = "[" * 400 + "]" * 400
    path = quoted(written(tmp_path, '{"a":' + value + ',"b":' + '{"k":' * 450 + "1" + "}" * 451))
    table = ours(f"FROM read_json({path}, types => {{'a': 'TEXT', 'b': 'TEXT'}})")
    assert json.loads(table.column("a")[0].as_py()) == json.loads(value)
    assert table.column("b")[0].as_py().count("{") == 450
    assert ours(f"FROM {path}").num_rows == 1


def test_errors_name_file_line_column_and_value(tmp_path):
    path = written(tmp_path, '{"n":1,"s":{"t":2}}\n' * 30_000 + '{"n":"1x"}\n')
    query = f"SELECT sum(n) AS s FROM read_json({quoted(path)}, columns => {{'n': 'BIGINT'}})"
    fails(query, path, "line 30001", "'n'", "1x")


def test_rows_that_do_not_parse_are_skipped(tmp_path):
    path = written(tmp_path, '{"n":1}\n{"n":"x"}\n{"n":3\n[]\n{"n":5}\n')
    result, rejects = sheaf(
        f"FROM read_ndjson({quoted(path)}, columns => {{'n': 'BIGINT'}}, on_error => 'skip')",
        "SELECT line, column_name, value FROM sheaf.rejects ORDER BY line",
    )
    assert result.to_pydict() == {"n": [1, 5]}
    assert rejects.column("line").to_pylist() == [2, 3, 4]
    assert rejects.column("column_name")[0].as_py() == "n"


def test_columns_are_widened_by_later_rows(tmp_path):
    path = written(tmp_path, '{"a":1}\n' * 200_000 + '{"a":2.5,"b":"x"}\n')
    table = f"read_json({quoted(path)}, sample_size => -1)"
    expect(
        f"SELECT sum(a) AS a, max(b) AS b FROM {table}", a=("float", [200_002.5]), b=("text", ["x"])
    )


@pytest.mark.parametrize("ending, pack", [(".gz", gzip.compress), (".zst", zstd)])
@pytest.mark.parametrize("layout", ["lines", "array"])
def test_compressed(tmp_path, ending, pack, layout):
    rows = [json.dumps({"n": n, "t": f"x{n}", "l": [n]}) for n in range(15_000)]
    text = "\n".join(rows) if layout == "lines" else "[" + ",\n".join(rows) + "]"
    plain, text = written(tmp_path, text), text.encode()
    path = written(tmp_path, pack(text[:1_000]) + pack(text[1_000:]), f"packed.json{ending}")
    same(ours(f"FROM {quoted(path)}"), theirs(f"FROM {quoted(plain)}"))
    damaged = written(tmp_path, pack(text)[:-20], f"damaged.json{ending}")
    fails(f"SELECT count(n) FROM {quoted(damaged)}", damaged)


def random_value(chance, depth):
    kinds = ["null", "bool", "int", "float", "text"] + ["list", "object"] * (depth < 3)
    match chance.choice(kinds):
        case "null":
            return None
        case "bool":
            return chance.random() < 0.5
        case "int":
            return chance.randrange(-(2**62), 2**62)
        case "float":
            return chance.uniform(-1e6, 1e6)
        case "text":
            return "".join(chance.choices('aß日🦀"\\\n\t/\u2028\x01', k=chance.randrange(8)))
        case "list":
            return [random_value(chance, depth + 1) for _ in range(chance.randrange(4))]
        case "object":
            return {chance.choice("abcd"): random_value(chance, depth + 1) for _ in range(3)}


@pytest.mark.parametrize("indent", [None, 1])
def test_random_values_as_text(tmp_path, indent):
    """Any value that Python's json writes is the same value when it is read as text."""
    chance = random.Random(3)
    rows = [random_value(chance, 0) for _ in range(2_000)]
    path = tmp_path / "random.json"
    path.write_text("\n".join(json.dumps({"v": row}, indent=indent) for row in rows))
    table = ours(f"FROM read_json({quoted(path)}, types => {{'v': 'TEXT'}})")
    for row, text in zip(rows, table.column("v").to_pylist(), strict=True):
        # A text is itself, without quotes.
        assert (text if isinstance(row, str) or text is None else json.loads(text)) == row


def test_huge_values(tmp_path):
    text = "x" * 5_000_000
    path = quoted(
        written(tmp_path, json.dumps({"a": 1, "b": text}) + "\n" + json.dumps({"a": 2, "b": [1]}))
    )
    table = ours(f"FROM {path}")
    assert table.to_pydict() == {"a": [1, 2], "b": [text, "[1]"]}


def test_many_keys(tmp_path):
    rows = [{f"c{n}": n * row for n in range(10_000)} for row in range(3)]
    path = quoted(written(tmp_path, "\n".join(map(json.dumps, rows))))
    expect(
        f"SELECT c77, c9998 FROM {path}", c77=("int", [0, 77, 154]), c9998=("int", [0, 9998, 19996])
    )
