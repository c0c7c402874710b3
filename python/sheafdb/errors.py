"""The exceptions of PEP 249, with what PostgreSQL's clients expect of them."""

from __future__ import annotations


class Warning(Exception):  # noqa: A001 - PEP 249 names it
    """Something that deserves attention; never raised."""


class Error(Exception):
    """Something went wrong: the base of all exceptions of this package."""

    #: The five characters by which PostgreSQL's clients know the kind of error.
    sqlstate: str | None = None
    #: What to try instead.
    hint: str | None = None
    #: Line and column in the SQL text, both from 1.
    position: tuple[int, int] | None = None


class InterfaceError(Error):
    """The package was used in a way that it is not made for."""


class DatabaseError(Error):
    """An error of the database."""


class DataError(DatabaseError):
    """A value does not fit: a number out of range, a text that is not a date."""


class OperationalError(DatabaseError):
    """The database could not do it now: files, memory, other writers."""


class QueryCancelled(OperationalError):
    """The statement was ended by ``interrupt()``, ``CANCEL`` or its timeout."""


class IntegrityError(DatabaseError):
    """A key that is there already, or a NULL where none may be."""


class InternalError(DatabaseError):
    """A fault of the engine, or damaged files."""


class ProgrammingError(DatabaseError):
    """The statement is wrong: its syntax, or a name in it."""


class NotSupportedError(DatabaseError):
    """The statement is understood, and not supported yet."""


#: Exceptions by SQLSTATE, or its first two characters.
_BY_STATE: dict[str, type[Error]] = {
    "57014": QueryCancelled,
    "22023": ProgrammingError,
    "22": DataError,
    "23": IntegrityError,
    "0A": NotSupportedError,
    "XX": InternalError,
    **dict.fromkeys(["02", "26", "3D", "3F", "42"], ProgrammingError),
    **dict.fromkeys(["08", "25", "38", "40", "53", "54", "55", "57", "58"], OperationalError),
}


def of_state(state: str) -> type[Error]:
    """The class of the exception for an SQLSTATE."""
    return _BY_STATE.get(state) or _BY_STATE.get(state[:2]) or DatabaseError
