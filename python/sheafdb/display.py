"""Rows as people look at them: boxes in a terminal, tables in a notebook."""

from __future__ import annotations

import shutil
import unicodedata
from typing import Any, NamedTuple, TypeVar

from ._sheafdb import Batches
from .results import Results

T = TypeVar("T")

#: Rows that are shown when nothing else is said.
ROWS = 20
#: Rows that are counted, to say how many were cut.
COUNTED = 10_000
#: Columns of a terminal that one value may take.
WIDTH = 60

#: Types whose values stand at the right.
_RIGHT = frozenset(
    "tinyint smallint integer bigint utinyint usmallint uinteger ubigint "
    "half real double decimal".split()
)


class Preview(NamedTuple):
    """The first rows, and how many there are: exactly, or at least."""

    rows: Batches
    shown: int
    total: int
    exact: bool

    @property
    def values(self) -> list[tuple[Any, ...]]:
        return self.rows.rows(0, self.shown)

    @property
    def footer(self) -> str:
        """How many rows there are, and how many of them are not shown."""
        count = f"{self.total:,}" if self.exact else f"more than {self.total:,}"
        rows = "row" if self.exact and self.total == 1 else "rows"
        cut = self.total > self.shown
        return f"{count} {rows}, {self.shown} shown" if cut else f"{count} {rows}"


def preview(results: Results, shown: int) -> Preview:
    """Takes the first rows of a query, and ends it when enough are counted."""
    output = results._open()
    if isinstance(output, Batches):
        return Preview(output, shown, len(output), True)
    batches: list[Batches] = []
    total = 0
    exact = True
    while (batch := output.next()) is not None:
        total += len(batch)
        if sum(map(len, batches)) < shown:
            batches.append(batch)
        if total > max(COUNTED, shown):
            exact, total = False, max(COUNTED, shown)
            output.close()
            break
    return Preview(Batches.joined(output, batches), shown, total, exact)


def text(value: Any) -> str:
    """A value in a cell."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return str(value).replace("\n", "\\n").replace("\t", "\\t")


def _width(line: str) -> int:
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in line)
    return len(line) + wide - sum(unicodedata.combining(c) > 0 for c in line)


def _cut(cell: str, width: int) -> str:
    if _width(cell) <= width:
        return cell
    while cell and _width(cell) > width - 1:
        cell = cell[:-1]
    return cell + "…"


def _kept(widths: list[int], room: int) -> list[int]:
    """The columns that fit: those in the middle are left out first."""
    kept = list(range(len(widths)))
    while len(kept) > 2 and sum(widths[i] + 3 for i in kept) > room:
        del kept[len(kept) // 2]
    return kept


def box(preview: Preview) -> str:
    """Rows in a box, as wide as the terminal at most; columns in the middle are left out."""
    names, types = list(preview.rows.names), list(preview.rows.types)
    rows = [[_cut(text(value), WIDTH) for value in row] for row in preview.values]
    heads = [[_cut(name, WIDTH) for name in names], types]
    widths = [max(_width(line[i]) for line in [*heads, *rows]) for i in range(len(names))]
    room = shutil.get_terminal_size((120, 24)).columns - 1
    kept = _kept(widths, room)
    left_out = len(widths) - len(kept)

    def pick(cells: list[T], gap: T) -> list[T]:
        picked = [cells[i] for i in kept]
        if left_out:
            picked.insert((len(kept) + 1) // 2, gap)
        return picked

    names, types = pick(heads[0], "…"), pick(types, "")
    rows = [pick(row, "…") for row in rows]
    widths = pick(widths, 1)
    right = [kind.split("(")[0] in _RIGHT for kind in types]

    def line(cells: list[str], centred: bool = False) -> str:
        padded = []
        for i, cell in enumerate(cells):
            space = widths[i] - _width(cell)
            before = space // 2 if centred else space if right[i] else 0
            padded.append(" " * (before + 1) + cell + " " * (space - before + 1))
        return "│" + "│".join(padded) + "│"

    def rule(start: str, between: str, end: str) -> str:
        return start + between.join("─" * (width + 2) for width in widths) + end

    footer = preview.footer + (f" ({left_out} columns not shown)" if left_out else "")
    return "\n".join(
        [
            rule("┌", "┬", "┐"),
            line(names, centred=True),
            line(types, centred=True),
            rule("├", "┼", "┤"),
            *(line(row) for row in rows),
            rule("└", "┴", "┘"),
            footer,
        ]
    )


def html(preview: Preview) -> str:
    """Rows as a table of HTML."""
    from html import escape

    def row(tag: str, cells: list[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    rows = preview.rows
    head = row("th", rows.names) + row("th", rows.types)
    body = "".join(row("td", [text(value) for value in line]) for line in preview.values)
    return (
        f"<table><thead>{head}</thead><tbody>{body}</tbody></table><p>{escape(preview.footer)}</p>"
    )


class Shown(Results):
    """Results that show their first rows where people look at them."""

    def show(self, rows: int = ROWS) -> None:
        """Prints the first rows."""
        print(box(preview(self, rows)))

    def __repr__(self) -> str:
        return box(preview(self, ROWS))

    def _repr_html_(self) -> str:
        return html(preview(self, ROWS))
