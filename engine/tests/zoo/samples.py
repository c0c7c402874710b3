"""Arrow arrays of every type, each with a NULL and with values at its bounds."""

from decimal import Decimal

import pyarrow as pa

ZONES = [None, "UTC", "Europe/Berlin", "+02:00"]
UNITS = ["s", "ms", "us", "ns"]


def _integers():
    for bits in (8, 16, 32, 64):
        signed, unsigned = getattr(pa, f"int{bits}")(), getattr(pa, f"uint{bits}")()
        yield f"int{bits}", pa.array([-(2 ** (bits - 1)), None, 2 ** (bits - 1) - 1], signed)
        yield f"uint{bits}", pa.array([0, None, 2**bits - 1], unsigned)


def _times():
    for unit in UNITS:
        for zone in ZONES:
            yield f"timestamp {unit} {zone}", pa.array([1, None, -1], pa.timestamp(unit, zone))
        yield f"duration {unit}", pa.array([1, None, -1], pa.duration(unit))
    yield "time32 s", pa.array([1, None, 86_399], pa.time32("s"))
    yield "time32 ms", pa.array([1, None, 86_399_999], pa.time32("ms"))
    yield "time64 us", pa.array([1, None, 86_399_999_999], pa.time64("us"))
    yield "time64 ns", pa.array([1, None, 86_399_999_999_999], pa.time64("ns"))
    # From the year 1 to 9999.
    yield "date32", pa.array([-719_162, None, 2_932_896], pa.date32())
    yield "date64", pa.array([-86_400_000, None, 86_400_000], pa.date64())


def _decimals():
    small = [Decimal("1.50"), None, Decimal("-9999999.99")]
    yield "decimal32", pa.array(small, pa.decimal32(9, 2))
    yield "decimal64", pa.array(small, pa.decimal64(18, 2))
    yield "decimal128", pa.array([*small, Decimal("9" * 36 + ".99")], pa.decimal128(38, 2))
    yield "decimal128 of nine digits", pa.array(small, pa.decimal128(9, 2))
    yield "decimal256", pa.array([*small, Decimal("-" + "9" * 70)], pa.decimal256(76, 2))


def _texts():
    texts, binaries = (
        ["ä🦀", None, "", "longer than twelve"],
        [b"\0\xff", None, b"", b"longer than twelve"],
    )
    for name in ("string", "large_string", "string_view"):
        yield name, pa.array(texts, getattr(pa, name)())
    for name in ("binary", "large_binary", "binary_view"):
        yield name, pa.array(binaries, getattr(pa, name)())
    yield "binary of three", pa.array([b"abc", None, b"\0\0\0"], pa.binary(3))
    yield "uuid", pa.array([b"\0" * 16, None, b"\xff" * 16], pa.uuid())


def _nested():
    int64, text = pa.int64(), pa.string()
    lists = [[1, None], None, []]
    for name in ("list_", "large_list", "list_view", "large_list_view"):
        yield name, pa.array(lists, getattr(pa, name)(int64))
    yield "list of two", pa.array([[1, None], None, [3, 4]], pa.list_(int64, 2))
    yield "list of lists", pa.array([[[1], None, []], None, []], pa.list_(pa.list_(int64)))
    yield "list of text", pa.array([["a", None], None, []], pa.list_(text))
    struct = pa.struct([("x", int64), ("y", text)])
    yield "struct", pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": None}], struct)
    yield "map", pa.array([[("k", 1)], None, []], pa.map_(text, int64))
    yield "map of lists", pa.array([[("k", [1])], None], pa.map_(text, pa.list_(int64)))
    deep = pa.list_(pa.struct([("a", pa.list_(pa.struct([("b", int64)]))), ("c", text)]))
    yield "structs in lists", pa.array([[{"a": [{"b": 1}, None], "c": "x"}], None, [None]], deep)


def _encoded():
    yield "dictionary", pa.array(["a", None, "a"]).dictionary_encode()
    yield "dictionary of integers", pa.array([10, None, 10]).dictionary_encode()
    codes = pa.array([0, None, 1], pa.int8())
    yield "dictionary with bytes for codes", pa.DictionaryArray.from_arrays(codes, ["x", "y"])
    yield "dictionary with NULL", pa.DictionaryArray.from_arrays(codes, pa.array(["x", None]))


def everywhere():
    """What both Parquet and Arrow files can have."""
    yield "null", pa.array([None, None], pa.null())
    yield "boolean", pa.array([True, None, False])
    yield "float16", pa.array([1.5, None, -2.0], pa.float16())
    yield "float32", pa.array([1.5, None, float("nan"), float("-inf")], pa.float32())
    yield "float64", pa.array([-0.0, None, float("nan"), 1e300], pa.float64())
    for some in (_integers, _times, _decimals, _texts, _nested, _encoded):
        yield from some()


def arrow_only():
    """What Parquet has no place for."""
    yield "interval", pa.array([(1, 2, 3), None, (-1, 0, 5)], pa.month_day_nano_interval())
    ends, runs = pa.array([2, 3, 5], pa.int32()), pa.array(["a", None, "b"])
    yield "runs", pa.RunEndEncodedArray.from_arrays(ends, runs)
    yield "struct of nothing", pa.array([{}, None, {}], pa.struct([]))
    kinds = pa.array([0, 1, 0], pa.int8())
    dense = [pa.array([1, 2]), pa.array(["x"])]
    yield "dense union", pa.UnionArray.from_dense(kinds, pa.array([0, 0, 1], pa.int32()), dense)
    sparse = [pa.array([1, 2, 3]), pa.array(["x", "y", "z"])]
    yield "sparse union", pa.UnionArray.from_sparse(kinds, sparse)


def wide_table(rows=1_000):
    """A table of many types at once, with NULLs in the middle of everything."""
    columns = {}
    for name, array in everywhere():
        if len(array) != 3 or "uuid" in name:
            continue
        array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        columns[name] = array.take(pa.array([(7 * row) % 3 for row in range(rows)]))
    return pa.table({"n": pa.array(range(rows)), **columns})
