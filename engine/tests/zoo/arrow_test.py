"""Arrow files and streams of pyarrow and polars, whole and damaged."""

import gzip
import random

import polars as pl
import pyarrow as pa
import pytest
import samples
from support import SheafError, expect, fails, ours, quoted, same, same_values, zstd

SAMPLES = {**dict(samples.everywhere()), **dict(samples.arrow_only())}
WRITERS = {"arrow": pa.ipc.new_file, "arrows": pa.ipc.new_stream}


def written(folder, kind, table, max_chunksize=None, **options):
    path = folder / f"file.{kind}"
    with WRITERS[kind](path, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize)
    return path


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("name", SAMPLES)
def test_types(tmp_path, kind, name):
    table = pa.table({"a": SAMPLES[name]})
    same(ours(f"FROM {quoted(written(tmp_path, kind, table))}"), table)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lz4"},
        {"compression": "zstd"},
        {"max_chunksize": 1},
        {"max_chunksize": 77, "compression": "lz4"},
        {"metadata_version": pa.ipc.MetadataVersion.V4},
        {"use_legacy_format": True},
    ],
    ids=str,
)
def test_writer_options(tmp_path, kind, options):
    table = samples.wide_table(100)
    same(ours(f"FROM {quoted(written(tmp_path, kind, table, **options))}"), table)


def dictionary(*texts):
    """Each of the texts, and NULL, as codes of them."""
    codes = pa.array([*range(len(texts)), None], pa.int32())
    return pa.record_batch({"a": pa.DictionaryArray.from_arrays(codes, list(texts))})


@pytest.mark.parametrize("deltas", [True, False])
def test_dictionaries_that_grow(tmp_path, deltas):
    path = tmp_path / "file.arrows"
    batches = [dictionary("x"), dictionary("x", "y"), dictionary("x", "y", "z")]
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=deltas)
    with pa.ipc.new_stream(path, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    texts = ["x", None, "x", "y", None, "x", "y", "z", None]
    expect(f"FROM {quoted(path)}", a=("text", texts))


def test_dictionaries_that_grow_in_a_file(tmp_path):
    path = tmp_path / "file.arrow"
    batches = [dictionary("x"), dictionary("x", "y")]
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_file(path, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    expect(f"FROM {quoted(path)}", a=("text", ["x", None, "x", "y", None]))


def test_dictionaries_that_are_replaced(tmp_path):
    path = tmp_path / "file.arrows"
    batches = [dictionary("x", "y"), dictionary("p", "q", "r")]
    with pa.ipc.new_stream(path, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    expect(f"FROM {quoted(path)}", a=("text", ["x", "y", None, "p", "q", "r", None]))


@pytest.mark.parametrize("kind", WRITERS)
def test_nested_encodings(tmp_path, kind):
    codes = pa.array([0, None, 1])
    inner = pa.DictionaryArray.from_arrays(codes, ["x", "y"])
    columns = {
        "list": pa.ListArray.from_arrays(pa.array([0, 1, 3]), inner),
        "struct": pa.StructArray.from_arrays([inner.slice(0, 2)], ["f"]),
        "view": pa.array([["a" * 20, None], None], pa.list_(pa.string_view())),
    }
    table = pa.table(columns)
    same(ours(f"FROM {quoted(written(tmp_path, kind, table))}"), table)


@pytest.mark.parametrize("kind", WRITERS)
def test_no_rows(tmp_path, kind):
    table = samples.wide_table().slice(0, 0)
    path = written(tmp_path, kind, table)
    same(ours(f"FROM {quoted(path)}"), table)
    with WRITERS[kind](path, table.schema):
        pass
    same(ours(f"FROM {quoted(path)}"), table)


@pytest.mark.parametrize("kind", WRITERS)
def test_slices(tmp_path, kind):
    table = samples.wide_table(1_000).slice(333, 100)
    same(ours(f"FROM {quoted(written(tmp_path, kind, table))}"), table)


def test_many_columns(tmp_path):
    table = pa.table({f"c{n}": [n, None, 2 * n] for n in range(10_000)})
    path = quoted(written(tmp_path, "arrow", table))
    # Not all of them: the planner's time is the square of the columns in a SELECT.
    query = f"SELECT c77, c9998 FROM {path}"
    expect(query, c77=("int", [77, None, 154]), c9998=("int", [9998, None, 19996]))


@pytest.mark.parametrize("ending, pack", [(".gz", gzip.compress), (".zst", zstd)])
@pytest.mark.parametrize("kind", WRITERS)
def test_compressed(tmp_path, kind, ending, pack):
    table = samples.wide_table(100)
    data = written(tmp_path, kind, table, max_chunksize=9).read_bytes()
    path = tmp_path / f"packed.{kind}{ending}"
    path.write_bytes(pack(data))
    same(ours(f"FROM {quoted(path)}"), table)


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_polars(tmp_path, compression):
    frame = pl.DataFrame(
        {
            "n": range(100),
            "t": [f"text {n % 7}" for n in range(100)],
            "l": [[n] * (n % 3) for n in range(100)],
        }
    ).with_columns(c=pl.col("t").cast(pl.Categorical), d=pl.col("n").cast(pl.Decimal(20, 2)))
    path = tmp_path / "file.arrow"
    frame.write_ipc(path, compression=compression)
    same_values(ours(f"FROM {quoted(path)}"), frame.to_arrow())


def test_integers_of_polars(tmp_path):
    # Its integers of 128 bits are no Arrow.
    path = tmp_path / "file.arrow"
    pl.DataFrame({"a": [1, None]}, schema={"a": pl.Int128}).write_ipc(path)
    fails(f"FROM {quoted(path)}", path, "'a' has integers of 128 bits")


@pytest.mark.parametrize("compression", [None, "zstd"])
@pytest.mark.parametrize("kind", WRITERS)
def test_damage(tmp_path, kind, compression):
    """A damaged file is an error that names it, or reads as something; it never ends
    the process and never takes long."""
    whole = written(tmp_path, kind, samples.wide_table(50), compression=compression).read_bytes()
    chance = random.Random(5)
    for number in range(15):
        changed = bytearray(whole)
        for _ in range(chance.choice([1, 1, 3, 20])):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.3:
            changed = changed[: chance.randrange(len(changed))]
        path = tmp_path / f"damaged{number}.{kind}"
        path.write_bytes(changed)
        try:
            ours(f"FROM {quoted(path)}")
        except SheafError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("length", [0, 3, 8, 100, -100])
def test_truncated(tmp_path, kind, length):
    path = written(tmp_path, kind, samples.wide_table(50))
    path.write_bytes(path.read_bytes()[:length])
    fails(f"FROM {quoted(path)}", path)
