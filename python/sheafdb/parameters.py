"""Parameters of statements: ``?`` and ``$1`` by a sequence, ``$name`` by a mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import ProgrammingError

#: What may hold a dollar without meaning it, and named parameters.
_TOKEN = re.compile(
    r"""
    '(?:[^']|'')*'                          # a text
    | "(?:[^"]|"")*"                        # a quoted name
    | --[^\n]*                              # a comment
    | /\*.*?\*/                             # a comment
    | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$       # a text between dollars
    | \$(?P<name>[A-Za-z_]\w*)              # a named parameter
    """,
    re.VERBOSE | re.DOTALL,
)


def bind(sql: str, params: Any) -> tuple[str, list[Any]]:
    """The text with numbered parameters, and their values in order."""
    if params is None:
        return sql, []
    if isinstance(params, Mapping):
        return _named(sql, params)
    if isinstance(params, Sequence) and not isinstance(params, (str, bytes, bytearray)):
        return sql, list(params)
    if hasattr(params, "tolist") and getattr(params, "ndim", 0) == 1:
        return sql, list(params)
    raise ProgrammingError(
        f"parameters are a sequence or a mapping, not a {type(params).__name__}: "
        "write (value,) for a single one"
    )


def _named(sql: str, params: Mapping[str, Any]) -> tuple[str, list[Any]]:
    order: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return match[0]
        if name not in params:
            known = ", ".join(f"${name}" for name in params) or "none"
            raise ProgrammingError(f"there is no parameter ${name}; given: {known}")
        return f"${order.setdefault(name, len(order) + 1)}"

    text = _TOKEN.sub(number, sql)
    if unused := [name for name in params if name not in order]:
        raise ProgrammingError(f"the statement has no parameter ${unused[0]}")
    return text, [params[name] for name in order]
