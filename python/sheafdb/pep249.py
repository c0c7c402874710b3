"""PEP 249's constructors of values, and its groups of types."""

from __future__ import annotations

from datetime import date as Date
from datetime import datetime as Timestamp
from datetime import time as Time
from datetime import timezone

__all__ = [
    "BINARY",
    "Binary",
    "DATETIME",
    "Date",
    "DateFromTicks",
    "NUMBER",
    "ROWID",
    "STRING",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
]

Binary = bytes


def DateFromTicks(ticks: float) -> Date:
    """The date, in UTC, so many seconds after 1970 began."""
    return Timestamp.fromtimestamp(ticks, timezone.utc).date()


def TimeFromTicks(ticks: float) -> Time:
    """The time of day, in UTC, so many seconds after 1970 began."""
    return Timestamp.fromtimestamp(ticks, timezone.utc).time()


def TimestampFromTicks(ticks: float) -> Timestamp:
    """The moment, in UTC and without a zone, so many seconds after 1970 began."""
    return Timestamp.fromtimestamp(ticks, timezone.utc).replace(tzinfo=None)


class TypeGroup:
    """Equal to the SQL names of some types, as ``cursor.description`` has them."""

    def __init__(self, name: str, *types: str) -> None:
        self.name = name
        self.types = frozenset(types)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return other.split("(")[0] in self.types
        return self is other

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name


STRING = TypeGroup("STRING", "text", "uuid")
BINARY = TypeGroup("BINARY", "bytea")
NUMBER = TypeGroup(
    "NUMBER",
    *("boolean", "tinyint", "smallint", "integer", "bigint"),
    *("utinyint", "usmallint", "uinteger", "ubigint", "half", "real", "double", "decimal"),
)
DATETIME = TypeGroup("DATETIME", "date", "time", "timestamp", "timestamptz", "interval")
ROWID = TypeGroup("ROWID")
