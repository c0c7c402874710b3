"""The progress of long statements, in a terminal that somebody looks at."""

from __future__ import annotations

import sys

_WIDTH = 40


def wanted() -> bool:
    """Whether the interpreter is interactive, in a terminal."""
    return hasattr(sys, "ps1") and sys.stderr is not None and sys.stderr.isatty()


def draw(seconds: float | None, bytes_read: tuple[int, int] | None) -> None:
    """Draws how far a statement is, or wipes it away when it is done."""
    sys.stderr.write("\r\x1b[K" + ("" if seconds is None else line(seconds, bytes_read)))
    sys.stderr.flush()


def line(seconds: float, bytes_read: tuple[int, int] | None) -> str:
    """How far a statement is."""
    if bytes_read is None or bytes_read[1] == 0:
        return f"{seconds:.0f} s"
    share = min(bytes_read[0] / bytes_read[1], 1.0)
    done = int(share * _WIDTH)
    return f"{seconds:.0f} s │{'█' * done}{'░' * (_WIDTH - done)}│ {share:.0%}"
