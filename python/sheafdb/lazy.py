"""Relations as lazy frames of polars, which asks for the columns and rows that it needs.

What polars wants to filter is said in SQL as far as that means the same there; polars filters
what comes once more, so that a condition that cannot be said costs time and nothing else.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .results import Views, batches, needed
from .text import quoted

if TYPE_CHECKING:
    import polars

    from .relation import Relation

_OPERATORS = {
    "Eq": "=",
    "NotEq": "<>",
    "Lt": "<",
    "LtEq": "<=",
    "Gt": ">",
    "GtEq": ">=",
}
_LOGIC = {"And": "AND", "Or": "OR", "LogicalAnd": "AND", "LogicalOr": "OR"}
_EPOCH = dt.datetime(1970, 1, 1)


def scan(relation: Relation) -> polars.LazyFrame:
    """The relation as a lazy frame, which runs when it is collected."""
    needed("polars")
    import polars
    from polars.io.plugins import register_io_source

    schema = polars.DataFrame(Views(relation.limit(0)._collect())).schema

    def source(
        with_columns: list[str] | None,
        predicate: polars.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[polars.DataFrame]:
        query = relation
        if n_rows is not None:
            # The first rows, of which the predicate keeps some.
            query = query.limit(n_rows)
        if predicate is not None:
            condition, values = translated(predicate)
            if condition:
                query = query.filter(condition, values)
        if with_columns is not None:
            needs = set(predicate.meta.root_names()) if predicate is not None else set()
            wanted = [*with_columns, *sorted(needs - set(with_columns))]
            query = query.select(*map(quoted, wanted)) if wanted else query.select("1")
        for batch in batches(query):
            frame = polars.DataFrame(Views(batch))
            if predicate is not None:
                frame = frame.filter(predicate)
            yield frame if with_columns is None else frame.select(with_columns)

    return register_io_source(source, schema=schema)


def translated(predicate: polars.Expr) -> tuple[str, list[Any]]:
    """A condition in SQL that rows must meet, and its parameters."""
    try:
        tree = json.loads(predicate.meta.serialize(format="json"))
    except Exception:
        return "", []
    values: list[Any] = []
    said = []
    for part in _conjuncts(tree):
        before = len(values)
        try:
            said.append(_condition(part, values))
        except _Untold:
            del values[before:]
    return " AND ".join(said), values


class _Untold(Exception):
    """SQL cannot say it, or it would not mean the same."""


def _conjuncts(tree: Any) -> Iterator[Any]:
    match tree:
        case {"BinaryExpr": {"left": left, "op": "And" | "LogicalAnd", "right": right}}:
            yield from _conjuncts(left)
            yield from _conjuncts(right)
        case _:
            yield tree


def _condition(tree: Any, values: list[Any]) -> str:
    match tree:
        case {"BinaryExpr": {"left": left, "op": str(op), "right": right}} if op in _LOGIC:
            return f"({_condition(left, values)} {_LOGIC[op]} {_condition(right, values)})"
        case {"BinaryExpr": {"left": left, "op": str(op), "right": right}} if op in _OPERATORS:
            return f"({_operand(left, values)} {_OPERATORS[op]} {_operand(right, values)})"
        case {"Function": {"input": [inner], "function": {"Boolean": "Not"}}}:
            return f"(NOT {_condition(inner, values)})"
        case {"Function": {"input": [inner], "function": {"Boolean": "IsNull"}}}:
            return f"({_operand(inner, values)} IS NULL)"
        case {"Function": {"input": [inner], "function": {"Boolean": "IsNotNull"}}}:
            return f"({_operand(inner, values)} IS NOT NULL)"
        case {
            "Function": {
                "input": [inner, low, high],
                "function": {"Boolean": {"IsBetween": {"closed": "Both"}}},
            }
        }:
            low, high = _operand(low, values), _operand(high, values)
            return f"({_operand(inner, values)} BETWEEN {low} AND {high})"
    raise _Untold


def _operand(tree: Any, values: list[Any]) -> str:
    match tree:
        case {"Column": str(name)}:
            return quoted(name)
        case {"Literal": {"Dyn": {"Int": int(value)}}}:
            values.append(value)
        case {"Literal": {"Scalar": dict(scalar)}}:
            values.append(_value(*next(iter(scalar.items()))))
        case _:
            raise _Untold
    return f"${len(values)}"


def _value(kind: str, value: Any) -> Any:
    match kind, value:
        case "String" | "Boolean" | "Int8" | "Int16" | "Int32" | "Int64", _:
            return value
        case "Date", int(days):
            return _EPOCH.date() + dt.timedelta(days=days)
        case "Datetime", [int(micros), "Microseconds", None]:
            return _EPOCH + dt.timedelta(microseconds=micros)
        case "Datetime", [int(micros), "Microseconds", "UTC"]:
            return (_EPOCH + dt.timedelta(microseconds=micros)).replace(tzinfo=dt.timezone.utc)
    raise _Untold
