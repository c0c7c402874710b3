"""Queries as values: they run when their rows are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._sheafdb import Batches, Columns, Output, Query, Source, Statement
from .display import Shown
from .errors import InterfaceError, NotSupportedError, ProgrammingError
from .sources import Named
from .text import literal, quoted

if TYPE_CHECKING:
    import os

    import polars

    from .connection import Connection
    from .loader import Loader
    from .plan import Plan

#: The version of datafusion-python whose sessions take relations: another has other structures.
_DATAFUSION = "55"
#: The relation that a derived one stands on.
_THIS = "this"
#: The same where tables are written, which may have any name that people write.
_ROWS = '"$rows"'


class Relation(Shown):
    """A query on a database. It runs, at the newest snapshot, each time that it is asked for rows.

    >>> import sheafdb
    >>> numbers = sheafdb.sql("SELECT * FROM range(10) AS t(n)")
    >>> numbers.filter("n % 2 = 0").aggregate("count(*) AS even, sum(n) AS total").fetchall()
    [(5, 20)]
    """

    def __init__(
        self,
        connection: Connection,
        statement: Statement,
        sql: str,
        values: list[Any],
        relations: Named,
    ) -> None:
        self._connection = connection
        self._statement: Statement | None = statement
        self._sql = sql
        self._values = values
        self._relations = relations
        self._rows: Batches | None = None
        self._described: Columns | Batches | None = None

    @classmethod
    def _of_rows(cls, connection: Connection, rows: Batches) -> Relation:
        """Rows that a statement gave that is not a query."""
        relation = cls.__new__(cls)
        relation._connection = connection
        relation._statement = None
        relation._sql = f"SELECT * FROM {_THIS}"
        relation._values = []
        relation._relations = [(_THIS, Source.computed(rows))]
        relation._rows = rows
        relation._described = rows
        return relation

    def _open(self) -> Output | Batches:
        if self._rows is not None:
            return self._rows
        assert self._statement is not None
        return self._statement.run(self._values, self._relations)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self._describe().names

    @property
    def types(self) -> list[str]:
        """The SQL names of the columns' types."""
        return self._describe().types

    @property
    def description(self) -> list[tuple[str, str, None, None, None, None, None]]:
        """The columns as cursors of PEP 249 describe them."""
        columns = zip(self.columns, self.types, strict=True)
        return [(name, kind, None, None, None, None, None) for name, kind in columns]

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns there are. Runs the query to count."""
        return len(self), len(self.columns)

    def _describe(self) -> Columns | Batches:
        if self._described is None:
            assert self._statement is not None
            self._described = self._statement.describe(self._values, self._relations)
            if self._described is None:
                raise InterfaceError("the statement gives no rows")
        return self._described

    def __arrow_c_schema__(self) -> Any:
        """The columns as a schema of Arrow's C interface."""
        return self._describe().__arrow_c_schema__()

    def __datafusion_table_provider__(self, session: Any) -> Any:
        """The query as a table of datafusion-python: ``ctx.register_table("name", rel)``.

        Each query there runs this one anew, with the columns, conditions and limit that it needs.
        """
        from importlib.metadata import version

        theirs = version("datafusion")
        if theirs.partition(".")[0] != _DATAFUSION:
            raise NotSupportedError(
                f"tables are for datafusion {_DATAFUSION}, and this is {theirs}: "
                f"pip install 'datafusion=={_DATAFUSION}.*'"
            )
        relation = self if self._statement is not None else self.select()
        assert relation._statement is not None
        ours = self._connection._session
        return relation._statement.mount(ours, relation._values, relation._relations, session)

    def __len__(self) -> int:
        """How many rows there are. Runs the query to count."""
        if self._rows is not None:
            return len(self._rows)
        (count,) = self._derived(f"SELECT count(*) FROM {_THIS}").fetchall()[0]
        return int(count)

    def __bool__(self) -> bool:
        """Whether there is a relation: ``if rel`` is not to count its rows."""
        return True

    def filter(self, condition: str, params: Any = None) -> Relation:
        """The rows for which a condition holds."""
        return self._derived(f"SELECT * FROM {_THIS} WHERE {condition}", params)

    def select(self, *columns: str) -> Relation:
        """Some columns, or expressions of them."""
        return self._derived(f"SELECT {', '.join(columns) or '*'} FROM {_THIS}")

    project = select

    def aggregate(self, expressions: str, by: str = "") -> Relation:
        """Aggregates of all rows, or of the groups that ``by`` makes, which come first."""
        grouped = f" GROUP BY {by}" if by else ""
        shown = f"{by}, {expressions}" if by else expressions
        return self._derived(f"SELECT {shown} FROM {_THIS}{grouped}")

    def order(self, by: str) -> Relation:
        """The rows in an order: ``"at DESC, station"``."""
        return self._derived(f"SELECT * FROM {_THIS} ORDER BY {by}")

    sort = order

    def limit(self, count: int, offset: int = 0) -> Relation:
        """The first rows, after ``offset`` others."""
        clause = f"LIMIT {int(count)} OFFSET {int(offset)}"
        if self._rows is None:
            # In the query itself, whose order a query around it would not keep.
            try:
                sql = f"{self._sql}\n{clause}"
                return self._connection._with(sql, self._relations, self._values)
            except ProgrammingError:
                pass
        return self._derived(f"SELECT * FROM {_THIS} {clause}")

    def distinct(self) -> Relation:
        """The rows without those that came before."""
        return self._derived(f"SELECT DISTINCT * FROM {_THIS}")

    def union(self, other: Relation) -> Relation:
        """The rows of both."""
        return self._both(other, f"SELECT * FROM {_THIS} UNION ALL SELECT * FROM other")

    def join(self, other: Relation, on: str = "", how: str = "inner") -> Relation:
        """The rows of both side by side: ``on`` is a column of both, or a condition on ``this``
        and ``other``."""
        if how not in ("inner", "left", "right", "full", "cross", "left semi", "left anti"):
            raise InterfaceError(f"there is no join '{how}'")
        if how == "cross":
            return self._both(other, f"SELECT * FROM {_THIS} CROSS JOIN other")
        condition = (
            f"USING ({on})" if on.replace(",", "").replace(" ", "").isidentifier() else f"ON {on}"
        )
        return self._both(other, f"SELECT * FROM {_THIS} {how} JOIN other {condition}")

    def query(self, name: str, sql: str) -> Relation:
        """A query in which a name stands for this relation."""
        return self._connection._with(sql, [(name.lower(), self._as_relation(self._connection))])

    def lazy(self) -> polars.LazyFrame:
        """The relation as a lazy frame of polars, whose columns, conditions and limits reach the
        database."""
        from .lazy import scan

        return scan(self)

    def loader(self, size: int, **options: Any) -> Loader:
        """Batches of arrays for a training loop; iterating again is another epoch.

        ``shuffle`` mixes 100,000 rows at a time, or as many as it says, with a ``seed``;
        ``prefetch`` batches are made ahead by a thread; ``form`` is ``"numpy"`` or ``"torch"``;
        ``drop_last`` leaves out a last batch that is not full.
        """
        from .loader import Loader

        return Loader(self, size, **options)

    def plot(
        self,
        x: str | None = None,
        y: str | list[str] | None = None,
        kind: str = "line",
        **options: Any,
    ) -> Any:
        """Draws columns, through matplotlib or altair: ``line``, ``bar``, ``scatter``, ``hist``.

        Without names, the first column goes along, and all others that are numbers go up.
        """
        from .plot import plot

        return plot(self, x, y, kind, **options)

    def explain(self, analyze: bool = False) -> Plan:
        """The plan of the query: text, and a tree in a notebook. With ``analyze`` after running
        it, with the rows and the time of each step."""
        from .plan import Plan

        verb = "EXPLAIN ANALYZE" if analyze else "EXPLAIN"
        explained = self._connection._with(f"{verb} {self._sql}", self._relations, self._values)
        return Plan("\n".join(row[-1] for row in explained.fetchall()))

    def create(self, table: str) -> None:
        """Makes a table of the rows, in one commit."""
        self._into(f"CREATE TABLE {table} AS SELECT * FROM {_ROWS}")

    to_table = create

    def insert_into(self, table: str) -> int:
        """Adds the rows to a table, by the names of its columns; returns how many."""
        columns = ", ".join(quoted(name) for name in self.columns)
        return self._into(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {_ROWS}")

    def write_parquet(self, path: str | os.PathLike[str], **options: Any) -> int:
        """Writes a Parquet file; options as ``COPY`` has them: ``compression="zstd"``."""
        return self._write(path, "parquet", options)

    def write_csv(self, path: str | os.PathLike[str], **options: Any) -> int:
        """Writes a CSV file; options as ``COPY`` has them: ``delimiter=";"``."""
        return self._write(path, "csv", options)

    def write_json(self, path: str | os.PathLike[str], **options: Any) -> int:
        """Writes a JSON object on each line."""
        return self._write(path, "ndjson", options)

    def _write(self, path: Any, form: str, options: dict[str, Any]) -> int:
        import os

        given = "".join(f", {name} {literal(value)}" for name, value in options.items())
        target = literal(os.fspath(path))
        return self._into(f"COPY (SELECT * FROM {_ROWS}) TO {target} (format '{form}'{given})")

    def _into(self, sql: str) -> int:
        statement = self._connection._session.prepare(sql)
        rows: Named = [(_ROWS.strip('"'), self._as_relation(self._connection))]
        return statement.run([], rows).count or 0

    def _derived(self, sql: str, params: Any = None) -> Relation:
        from .parameters import bind

        text, values = bind(sql, params)
        return self._connection._with(text, [(_THIS, self._as_relation(self._connection))], values)

    def _both(self, other: Relation, sql: str) -> Relation:
        relations: Named = [
            (_THIS, self._as_relation(self._connection)),
            ("other", other._as_relation(self._connection)),
        ]
        return self._connection._with(sql, relations)

    def _as_relation(self, connection: Connection) -> Source | Query:
        """What stands for it in a statement of a connection: the query, if it is its own."""
        if self._rows is not None:
            return Source.computed(self._rows)
        if connection is self._connection:
            return Query(self._sql, self._values, self._relations)
        return Source.streamed(self, False)
