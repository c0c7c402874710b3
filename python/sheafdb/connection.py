"""Connections with databases."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from . import progress, remote
from ._sheafdb import Appender, Output, Session, Source, Statement
from .batch import WriteBatch
from .cursor import Cursor
from .errors import NotSupportedError, ProgrammingError
from .parameters import bind
from .relation import Relation
from .sources import Named, relation_of, variables
from .table import Table
from .text import literal, parts

MEMORY = ":memory:"

#: Gets the seconds that have passed, and the bytes that were read and that there are.
ProgressCallback = Callable[["float | None", "tuple[int, int] | None"], None]


def connect(database: str | os.PathLike[str] = MEMORY, **config: Any) -> Connection:
    """Opens a database: in memory, in a folder that is made when it is not there, or one that
    is served at ``flight://host:port`` (with ``user`` and ``password``, if it has users).

    Connections of one process with the same folder share the database. The options are
    ``read_only``, ``create``, ``durability`` (``"sync"``, ``"interval"`` or ``"none"``),
    ``sync_interval`` in seconds, ``memory_limit`` (``"2GB"``), and every setting that SQL has.

    >>> import sheafdb
    >>> with sheafdb.connect(memory_limit="1GB") as con:
    ...     con.execute("SELECT 1 + 1").fetchall()
    [(2,)]
    """
    path = os.fspath(database)
    if remote.is_address(path):
        # Typed as a connection here: what it does not have, it has an error for.
        return cast("Connection", remote.connect(path, config))
    return Connection(Session.connect(None if path == MEMORY else path, config))


class Connection:
    """A session with a database: its settings and temporary tables are its own.

    Threads may share it. It is closed at the end of a ``with`` block.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        if progress.wanted():
            session.set_progress(progress.draw)
        self._registered: dict[str, Any] = {}

    def sql(self, query: str, params: Any = None) -> Relation:
        """A query as a relation, which runs when its rows are asked for.

        Anything else runs now, and gives ``None`` if it has no rows. Names that the database
        does not know are variables of the calling code: DataFrames, Arrow tables, other
        relations.

        >>> import sheafdb
        >>> numbers = sheafdb.connect().sql("SELECT * FROM range(1, 4) AS t(n)")
        >>> sheafdb.sql("SELECT sum(n) FROM numbers").fetchone()
        (6,)
        """
        text, values = bind(query, params)
        text, statement = self._last(text, values)
        if statement is None:
            return cast("Relation", None)
        relations = self._relations(statement)
        if statement.is_query:
            relation = Relation(self, statement, text, values, relations)
            if any(not self._means(name, relations) for name in statement.names):
                # A file or a function; a name that nobody knows is told of now.
                relation.columns  # noqa: B018
            return relation
        output = statement.run(values, relations)
        if not output.has_rows:
            # Who knows that there are no rows does not look for any: as a type it is not there.
            return cast("Relation", None)
        return Relation._of_rows(self, output.collect())

    def execute(self, sql: str, params: Any = None) -> Cursor:
        """Runs one or more statements now; the rows of the last can be fetched."""
        return self.cursor().execute(sql, params)

    def executemany(self, sql: str, params: Iterable[Any]) -> Cursor:
        """Runs a statement once for each of the parameters."""
        return self.cursor().executemany(sql, params)

    def cursor(self) -> Cursor:
        """A cursor of PEP 249 in this session."""
        if self._session.closed:
            raise ProgrammingError("the connection is closed")
        return Cursor(self)

    def duplicate(self) -> Connection:
        """Another session with the same database."""
        return Connection(self._session.another())

    def snapshot(self) -> Connection:
        """The database as it is now, for reading: what others change is not seen in it.

        >>> import sheafdb
        >>> con = sheafdb.connect()
        >>> con.sql("CREATE TABLE t (n BIGINT)")
        >>> before = con.snapshot()
        >>> con.sql("INSERT INTO t VALUES (1)")
        >>> len(con.table("t")), len(before.table("t"))
        (1, 0)
        """
        pinned = Connection(self._session.pinned())
        pinned._registered = dict(self._registered)
        return pinned

    @property
    def version(self) -> int | None:
        """The version that a snapshot reads; ``None`` for the newest."""
        return self._session.version

    def table(self, name: str) -> Table:
        """A table or view of the database."""
        return Table(self, name)

    def batch(self) -> WriteBatch:
        """Changes of several tables that happen together, when the ``with`` block ends."""
        return WriteBatch(self)

    def appender(self, table: str, columns: list[str] | None = None) -> Appender:
        """Takes rows one by one, and commits them by the thousand.

        >>> import sheafdb
        >>> con = sheafdb.connect()
        >>> con.sql("CREATE TABLE t (n BIGINT, s TEXT)")
        >>> with con.appender("t") as rows:
        ...     for n in range(3):
        ...         rows.append(n, str(n))
        >>> len(con.table("t"))
        3
        """
        return Appender(self._session, table, parts(table), columns)

    def create_function(
        self,
        name: str,
        function: Callable[..., Any],
        parameters: Sequence[str],
        returns: str,
        *,
        vectorized: bool = False,
        pure: bool = True,
    ) -> Connection:
        """Adds a function for the statements of this connection.

        It is called with the values of each row, and not for rows with a NULL, which give NULL;
        with ``vectorized`` it is called with arrays of pyarrow, and gives one. A function that
        is not ``pure`` is called for each row, even if its arguments are constants.

        >>> import sheafdb
        >>> con = sheafdb.connect()
        >>> con = con.create_function("shout", str.upper, ["TEXT"], "TEXT")
        >>> con.sql("SELECT shout('a')").fetchone()
        ('A',)
        """
        self._session.create_function(
            name.lower(), function, list(parameters), returns, by_value=not vectorized, pure=pure
        )
        return self

    def register(self, name: str, data: Any) -> Connection:
        """Lets statements read data by a name, before tables with that name."""
        if relation_of(data, self) is None:
            raise ProgrammingError(f"a {type(data).__name__} cannot be read as rows")
        self._registered[name.lower()] = data
        return self

    def unregister(self, name: str) -> Connection:
        """Forgets a registered name."""
        if self._registered.pop(name.lower(), None) is None:
            raise ProgrammingError(f"nothing is registered as '{name}'")
        return self

    def read_parquet(self, path: str | os.PathLike[str], **options: Any) -> Relation:
        """The rows of Parquet files: a path, or a pattern such as ``data/*.parquet``."""
        return self._read("read_parquet", path, options)

    def read_csv(self, path: str | os.PathLike[str], **options: Any) -> Relation:
        """The rows of CSV files, with options as SQL has them: ``delim=";"``."""
        return self._read("read_csv", path, options)

    def read_json(self, path: str | os.PathLike[str], **options: Any) -> Relation:
        """The rows of JSON files: arrays, or an object on each line."""
        return self._read("read_json", path, options)

    def _read(self, function: str, path: Any, options: dict[str, Any]) -> Relation:
        paths = path if isinstance(path, (list, tuple)) else [path]
        names = ", ".join(literal(os.fspath(path)) for path in paths)
        given = "".join(f", {name} => {literal(value)}" for name, value in options.items())
        return self.sql(f"SELECT * FROM {function}([{names}]{given})")

    def on_progress(self, callback: ProgressCallback | None) -> Connection:
        """Calls a function while a statement takes longer than two seconds.

        It gets the seconds that have passed and, while files are read, the bytes that were read
        and that there are; and ``None`` for the seconds when the statement is done. In an
        interactive interpreter a bar is drawn when nothing else is said.
        """
        self._session.set_progress(callback)
        return self

    def interrupt(self) -> None:
        """Ends the statements of this connection that run in other threads."""
        self._session.interrupt()

    def commit(self) -> None:
        """Does nothing: each statement is committed when it is done."""

    def rollback(self) -> None:
        """An error: each statement is committed when it is done."""
        raise NotSupportedError(
            "there are no transactions of several statements: each statement is committed "
            "when it is done"
        )

    def close(self) -> None:
        """Gives the session back; doing so again does nothing."""
        self._registered.clear()
        self._session.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._session.closed else "open"
        return f"<sheafdb.Connection, {state}>"

    def _alone(self) -> Connection:
        """The same session, whose statements can be ended without ending others."""
        alone = Connection(self._session.alone())
        alone._registered = self._registered
        return alone

    def _run(self, sql: str, params: Any) -> Output | None:
        """Runs all statements of a text; gives what the last one gave."""
        text, values = bind(sql, params)
        _, statement = self._last(text, values)
        return None if statement is None else statement.run(values, self._relations(statement))

    def _run_many(self, sql: str, params: Iterable[Any]) -> list[Output]:
        outputs = []
        prepared: dict[str, tuple[Statement, Named]] = {}
        for one in params:
            text, values = bind(sql, one)
            if text not in prepared:
                statement = self._session.prepare(text)
                prepared[text] = statement, self._relations(statement)
            statement, relations = prepared[text]
            outputs.append(statement.run(values, relations))
        return outputs

    def _last(self, sql: str, values: list[Any]) -> tuple[str, Statement | None]:
        """Runs all statements of a text but the last, whose text is given, and which is parsed."""
        if sql.strip() and not any(mark in sql for mark in (";", "--", "/*")):
            return sql, self._session.prepare(sql)
        texts = Session.split(sql)
        if not texts:
            return "", None
        *before, last = texts
        if before and values:
            raise ProgrammingError("parameters are for one statement, the text has several")
        for text in before:
            statement = self._session.prepare(text)
            output = statement.run([], self._relations(statement))
            if output.has_rows:
                output.close()
        return last, self._session.prepare(last)

    def _relations(self, statement: Statement) -> Named:
        """What the names of a statement stand for that the database does not know."""
        names = statement.names
        if not names:
            return []
        relations: Named = []
        unknown = []
        for name in names:
            if name in self._registered:
                relation = relation_of(self._registered[name], self)
                assert relation is not None
                relations.append((name, relation))
            elif not self._session.knows(name):
                unknown.append(name)
        return relations + variables(unknown, self)

    def _means(self, name: str, relations: Named) -> bool:
        return any(name == known for known, _ in relations) or self._session.knows(name)

    def _with(self, sql: str, relations: Named, values: list[Any] | None = None) -> Relation:
        """A query whose relations are given."""
        return Relation(self, self._session.prepare(sql), sql, values or [], relations)

    def _changed(self, sql: str, data: Source | None = None, params: Any = None) -> int:
        """Runs a statement that changes rows; ``data`` is its relation ``$rows``."""
        text, values = bind(sql, params)
        statement = self._session.prepare(text)
        relations: Named = [] if data is None else [("$rows", data)]
        return statement.run(values, relations or self._relations(statement)).count or 0


_default: Connection | None = None
_default_lock = threading.Lock()


def default_connection() -> Connection:
    """The database in memory that ``sheafdb.sql`` uses."""
    global _default
    with _default_lock:
        if _default is None or _default._session.closed:
            _default = connect()
        return _default
