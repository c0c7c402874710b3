"""Names and values as SQL writes them."""

from __future__ import annotations

import re
from typing import Any


def literal(value: Any) -> str:
    """A value as SQL writes it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    return "'" + str(value).replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def parts(name: str) -> tuple[str | None, str]:
    """The schema and the name of a table, as the catalog has them."""
    found = re.findall(r'"((?:[^"]|"")+)"|([^".]+)', name)
    plain = [exact.replace('""', '"') or bare.lower() for exact, bare in found]
    return (plain[0], plain[1]) if len(plain) > 1 else (None, plain[0] if plain else name)
