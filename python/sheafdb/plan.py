"""Plans of queries: text in a terminal, a tree in a notebook."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

#: Seconds in the units that times are written in.
_UNITS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_METRICS = re.compile(r",? *metrics=\[(.*)\]$")
_TIME = re.compile(r"elapsed_compute=([\d.]+)(ns|µs|ms|s)\b")
_ROWS = re.compile(r"output_rows=([^,\]]+)")


@dataclass
class Step:
    """One operator of a plan, and those that feed it."""

    name: str
    details: str
    metrics: str
    inputs: list[Step] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """The processor time that the step took itself; known after running it."""
        found = _TIME.search(self.metrics)
        return float(found[1]) * _UNITS[found[2]] if found else None

    @property
    def rows(self) -> str | None:
        """How many rows came out of it, as the database writes numbers."""
        found = _ROWS.search(self.metrics)
        return found[1] if found else None


class Plan(str):
    """The plan of a query, as text; a notebook shows it as a tree, with what took the time."""

    @property
    def steps(self) -> list[Step]:
        """The operators at the top: one, or those of a logical and of a physical plan."""
        top: list[Step] = []
        above: list[tuple[int, Step]] = []
        for line in self.splitlines():
            words = line.lstrip(" ")
            if not words:
                continue
            depth = len(line) - len(words)
            metrics = _METRICS.search(words)
            said = words[: metrics.start()] if metrics else words
            name, _, details = said.partition(":")
            step = Step(name.strip(), details.strip(), metrics[1] if metrics else "")
            while above and above[-1][0] >= depth:
                above.pop()
            (above[-1][1].inputs if above else top).append(step)
            above.append((depth, step))
        return top

    def _repr_html_(self) -> str:
        steps = self.steps
        longest = max((s.seconds or 0.0 for s in _all(steps)), default=0.0)
        return _STYLE + "".join(_tree(step, longest) for step in steps)


def _all(steps: list[Step]) -> list[Step]:
    return [found for step in steps for found in [step, *_all(step.inputs)]]


#: Steps stand below each other; the bar of the one that took longest fills its place.
_STYLE = (
    "<style>.sheaf-plan{margin-left:1.2em;font-family:monospace}"
    ".sheaf-plan meter{width:8em}.sheaf-plan small{opacity:.7}</style>"
)


def _tree(step: Step, longest: float) -> str:
    told = [f"<b>{html.escape(step.name)}</b>"]
    if step.seconds is not None:
        share = step.seconds / longest if longest else 0.0
        told.append(f'<meter value="{share:.3f}"></meter> {_said(step.seconds)}')
    if step.rows is not None:
        told.append(f"{html.escape(step.rows)} rows")
    below = "".join(
        f"<div><small>{html.escape(text)}</small></div>"
        for text in (step.details, step.metrics)
        if text
    )
    inputs = "".join(_tree(one, longest) for one in step.inputs)
    return (
        f'<div class="sheaf-plan"><details><summary>{" · ".join(told)}</summary>{below}</details>'
        f"{inputs}</div>"
    )


def _said(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.2f} ms"
