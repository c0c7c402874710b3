"""Reads files with `sheaf` and with its peers, and compares what they answer.

A crash or a hang of `sheaf` fails one test and is named there. Tables are compared as columns of plain Python values beside a family of
types: that a peer's integers are narrower, or its texts have another layout in memory,
is no difference in what a file says.
"""

import contextlib
import math
import os
import subprocess
import tempfile
import threading
from io import BytesIO

import duckdb
import pyarrow as pa
import pytest
from pyarrow import types

SHEAF = os.environ.get("SHEAF_BIN", "sheaf")
# No test needs a second; a hang must not look like a slow machine.
TIMEOUT_S = 60
# What an error says that was a panic nobody expected. Those of decoders on damaged bytes
# are expected, and errors like any other.
FAILED_INSIDE = "the engine failed inside"
PER_SECOND_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


class SheafError(Exception):
    """What `sheaf` wrote to standard error when a statement failed."""


def sheaf(*statements):
    """Runs statements in one process; a table for each one that has a result."""
    command = [SHEAF, "--format", "arrow"]
    for statement in statements:
        command += ["-c", statement]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S)
    stderr = done.stderr.decode(errors="replace")
    # An error of a statement is exit code 1; anything else is a crash.
    assert done.returncode in (0, 1) and FAILED_INSIDE not in stderr, stderr
    if done.returncode:
        raise SheafError(stderr)
    stream, tables = BytesIO(done.stdout), []
    while stream.tell() < len(done.stdout):
        tables.append(pa.ipc.open_stream(stream).read_all())
    return tables


class Session:
    """A process that answers one query after the other, which is faster than one for
    each of them. An error ends it, and the next query begins another."""

    def __init__(self):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [SHEAF, "--format", "arrow"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )

    def query(self, text):
        too_late = threading.Timer(TIMEOUT_S, self.process.kill)
        too_late.start()
        try:
            # The result of the second query is there when the first one did not fail
            # in the middle of its rows.
            self.process.stdin.write(f"{text};\nSELECT 1;\n".encode())
            self.process.stdin.flush()
            table = pa.ipc.open_stream(self.process.stdout).read_all()
            pa.ipc.open_stream(self.process.stdout).read_all()
            return table
        except (OSError, pa.ArrowInvalid):
            self.end()
            code = self.process.returncode
            self.errors.seek(0)
            message = self.errors.read().decode(errors="replace")
            # Its result is not Arrow to pyarrow.
            if code == 0:
                raise
            # An error of a statement is exit code 1; anything else is a crash.
            assert code == 1 and FAILED_INSIDE not in message, (text, code, message)
            raise SheafError(message) from None
        finally:
            too_late.cancel()

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()


session = None


def ours(query):
    """The one result of a query."""
    global session
    session = session or Session()
    try:
        return session.query(query)
    except Exception:
        session = None
        raise


def fails(statement, *parts):
    """A statement must fail, with all of these parts in its message."""
    with pytest.raises(SheafError) as failure:
        sheaf(statement)
    message = str(failure.value)
    for part in parts:
        assert str(part) in message, message
    return message


peer = duckdb.connect()
peer.execute("SET TimeZone = 'UTC'")


def theirs(query):
    """DuckDB's result."""
    return peer.sql(query).to_arrow_table()


def quoted(path):
    """A path, or several, as SQL text."""
    if isinstance(path, (list, tuple)):
        return "[" + ", ".join(quoted(one) for one in path) + "]"
    return "'" + str(path).replace("'", "''") + "'"


def zstd(data):
    """One frame of zstd; Python has a module for it from 3.14 on."""
    return pa.Codec("zstd").compress(data, asbytes=True)


def family(data_type):
    """What kind of values a type has, whatever their width and layout."""
    if isinstance(data_type, pa.BaseExtensionType):
        # A table's UUID is sixteen bytes.
        return family(data_type.storage_type)
    if types.is_dictionary(data_type) or types.is_run_end_encoded(data_type):
        return family(data_type.value_type)
    if types.is_map(data_type):
        return f"map({family(data_type.key_type)}, {family(data_type.item_type)})"
    if types.is_struct(data_type):
        return "struct(" + ", ".join(f"{f.name} {family(f.type)}" for f in data_type) + ")"
    if hasattr(data_type, "value_type"):
        return f"list({family(data_type.value_type)})"
    if types.is_decimal(data_type):
        return "int" if data_type.scale == 0 else "decimal"
    if types.is_timestamp(data_type):
        return "timestamp" if data_type.tz is None else "timestamptz"
    for name, belongs in FAMILIES.items():
        if belongs(data_type):
            return name
    return str(data_type)


FAMILIES = {
    "bool": types.is_boolean,
    "int": types.is_integer,
    "float": types.is_floating,
    "text": lambda t: types.is_string(t) or types.is_large_string(t) or types.is_string_view(t),
    "binary": lambda t: (
        types.is_binary(t)
        or types.is_large_binary(t)
        or types.is_binary_view(t)
        or types.is_fixed_size_binary(t)
    ),
    "date": types.is_date,
    "time": types.is_time,
    "duration": types.is_duration,
    "interval": types.is_interval,
    "null": types.is_null,
}


def values(array):
    """Values as Python's; points in time and times of day as nanoseconds, since
    Python's own have microseconds and four digits of a year."""
    if isinstance(array, pa.ChunkedArray):
        return [value for chunk in array.chunks for value in values(chunk)]
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return values(array.storage)
    if types.is_dictionary(kind):
        return values(array.dictionary_decode())
    if types.is_run_end_encoded(kind):
        return values(pa.compute.run_end_decode(array))
    if types.is_timestamp(kind) or types.is_time(kind) or types.is_duration(kind):
        unit_ns = PER_SECOND_NS[kind.unit]
        wide = kind.bit_width == 64
        units = array.cast(pa.int64() if wide else pa.int32()).to_pylist()
        return [None if unit is None else unit * unit_ns for unit in units]
    if types.is_date64(kind):
        return values(array.cast(pa.date32()))
    if types.is_date(kind):
        # Days, since Python's dates end in the year 9999.
        return array.cast(pa.int32()).to_pylist()
    if types.is_struct(kind):
        columns = [values(column) for column in array.flatten()]
        rows = zip(*columns) if columns else [()] * len(array)
        names = [field.name for field in kind]
        valid = array.is_valid().to_pylist()
        return [dict(zip(names, row)) if ok else None for row, ok in zip(rows, valid)]
    if types.is_map(kind) or hasattr(kind, "value_type"):
        lists = [values(scalar.values) if scalar.is_valid else None for scalar in array]
        if types.is_map(kind):
            pairs = [v if v is None else [tuple(pair.values()) for pair in v] for v in lists]
            return pairs
        return lists
    return array.to_pylist()


def alike(a, b):
    """Equal, also when both are not a number."""
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    # 1, 1.0 and true are equal in Python.
    return a == b and (isinstance(a, bool) == isinstance(b, bool))


def same(mine, other):
    """Two tables say the same: names, families of types, and values row by row."""
    assert mine.column_names == other.column_names
    mine_types = {
        name: family(mine.schema.field(i).type) for i, name in enumerate(mine.column_names)
    }
    other_types = {
        name: family(other.schema.field(i).type) for i, name in enumerate(other.column_names)
    }
    assert mine_types == other_types
    same_values(mine, other)


def same_values(mine, other):
    """As `same`, whatever the types are."""
    assert mine.column_names == other.column_names
    assert mine.num_rows == other.num_rows
    for index, name in enumerate(mine.column_names):
        left, right = values(mine.column(index)), values(other.column(index))
        if left == right:
            continue
        for row, (a, b) in enumerate(zip(left, right)):
            assert alike(a, b), f"column {name}, row {row}: {shown(a)} is not {shown(b)}"


def shown(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"


def expect(query, **columns):
    """A query answers these columns, each given as its family and its values."""
    expect_columns(query, columns)


def expect_columns(query, columns):
    """As `expect`, for names that Python has no keywords for."""
    table = ours(query)
    found = {
        name: (family(field.type), values(column))
        for name, field, column in zip(table.column_names, table.schema, table.columns)
    }
    assert table.column_names == list(columns)
    for name, (kind, wanted) in columns.items():
        assert found[name][0] == kind, name
        assert alike(found[name][1], wanted), (name, found[name][1], wanted)
