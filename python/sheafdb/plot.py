"""Plots of relations, through matplotlib or altair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import InterfaceError

if TYPE_CHECKING:
    from .relation import Relation

_NUMBERS = frozenset(
    "tinyint smallint integer bigint utinyint usmallint uinteger ubigint "
    "half real double decimal".split()
)
KINDS = ("line", "bar", "scatter", "hist")


def plot(
    relation: Relation, x: str | None, y: str | list[str] | None, kind: str, **options: Any
) -> Any:
    """Draws columns of a relation; gives the axes of matplotlib, or the chart of altair."""
    if kind not in KINDS:
        raise InterfaceError(f"plots are of the kinds {', '.join(KINDS)}, not '{kind}'")
    names, types = relation.columns, relation.types
    numbers = [n for n, kind_ in zip(names, types, strict=True) if kind_.split("(")[0] in _NUMBERS]
    if kind == "hist":
        x = x or next(iter(numbers), None)
        values: list[str] = []
    else:
        x = x or names[0]
        values = [y] if isinstance(y, str) else list(y or [n for n in numbers if n != x])
    if x is None or (kind != "hist" and not values):
        raise InterfaceError("there is no column of numbers to plot")
    for name in [x, *values]:
        if name not in names:
            raise InterfaceError(f"there is no column '{name}': there are {', '.join(names)}")
    try:
        import matplotlib.pyplot as pyplot
    except ImportError:
        return _altair(relation, x, values, kind, **options)
    axes = options.pop("ax", None) or pyplot.subplots()[1]
    columns = relation.select(*(f'"{name}"' for name in [x, *values])).fetchnumpy()
    if kind == "hist":
        axes.hist(columns[x], **options)
    for name in values:
        draw = {"line": axes.plot, "bar": axes.bar, "scatter": axes.scatter}[kind]
        draw(columns[x], columns[name], label=name, **options)
    axes.set_xlabel(x)
    if len(values) > 1:
        axes.legend()
    elif values:
        axes.set_ylabel(values[0])
    return axes


def _altair(relation: Relation, x: str, values: list[str], kind: str, **options: Any) -> Any:
    try:
        import altair
    except ImportError:
        raise InterfaceError("a plot needs matplotlib or altair: pip install matplotlib") from None
    chart = altair.Chart(relation.arrow())
    if kind == "hist":
        return chart.mark_bar(**options).encode(altair.X(x, bin=True), y="count()")
    if len(values) > 1:
        chart = chart.transform_fold(values)
    mark = {"line": chart.mark_line, "bar": chart.mark_bar, "scatter": chart.mark_point}[kind]
    if len(values) == 1:
        return mark(**options).encode(x=x, y=values[0])
    return mark(**options).encode(x=x, y="value:Q", color="key:N")
