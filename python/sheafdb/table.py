"""Tables: rows in, rows out, by key and by likeness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._sheafdb import Batches, Source, Statement
from .errors import NotSupportedError, ProgrammingError
from .relation import Relation
from .sources import rows_of
from .text import parts, quoted

if TYPE_CHECKING:
    import polars

    from .connection import Connection

#: The operators of distances, as pgvector has them.
_METRICS = {"l2": "<->", "cosine": "<=>", "ip": "<#>"}


class Table:
    """A table or view of a database.

    >>> import sheafdb
    >>> con = sheafdb.connect()
    >>> con.sql("CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT)")
    >>> users = con.table("users")
    >>> users.append([{"id": 1, "name": "Ada"}, {"id": 2, "name": "Alan"}])
    2
    >>> users.upsert({"id": [2], "name": ["Grace"]})
    1
    >>> users.get(2)
    {'id': 2, 'name': 'Grace'}
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._get: Statement | None = None
        self._key: list[str] | None = None

    @property
    def name(self) -> str:
        """The name that it was asked for by."""
        return self._name

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return self.rel().columns

    @property
    def primary_key(self) -> list[str]:
        """The columns of its primary key; none for a table without one."""
        return self._connection._session.table(self._name)[1]

    @property
    def exists(self) -> bool:
        """Whether the database has it, still."""
        try:
            self._connection._session.table(self._name)
        except ProgrammingError:
            return False
        return True

    def rel(self) -> Relation:
        """Its rows as a relation."""
        return self._connection._with(f"SELECT * FROM {self._name}", [])

    def __len__(self) -> int:
        return len(self.rel())

    def __bool__(self) -> bool:
        return True

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Its rows as a stream of Arrow's C interface."""
        return self.rel().__arrow_c_stream__(requested_schema)

    def __datafusion_table_provider__(self, session: Any) -> Any:
        """The table as one of datafusion-python: ``ctx.register_table("t", con.table("t"))``."""
        return self.rel().__datafusion_table_provider__(session)

    def lazy(self) -> polars.LazyFrame:
        """Its rows as a lazy frame of polars."""
        return self.rel().lazy()

    def append(self, data: Any) -> int:
        """Adds rows in one commit, by the names of the columns; returns how many.

        ``data`` is an Arrow table or stream, a DataFrame, a dict of columns or a list of dicts.
        """
        schema, name = parts(self._name)
        return self._connection._session.append(schema, name, rows_of(data))

    def upsert(self, data: Any, key: str | list[str] | None = None) -> int:
        """Adds rows, in place of those with the same key, in one commit; returns how many.

        Columns that the rows do not have keep their values in rows that are there; so they must be
        columns with a default, or that may be NULL.
        """
        columns, primary = self._connection._session.table(self._name)
        if not primary:
            raise ProgrammingError(f"the table {self._name} has no primary key to upsert by")
        wanted = [key] if isinstance(key, str) else key
        if wanted is not None and sorted(wanted) != sorted(primary):
            raise ProgrammingError(f"the key of {self._name} is {', '.join(primary)}")
        rows = rows_of(data)
        source = Source.computed(rows) if isinstance(rows, Batches) else Source.held(rows)
        given = source.names
        for name in given:
            if name not in columns:
                raise ProgrammingError(f"the table {self._name} has no column '{name}'")
        names = ", ".join(map(quoted, given))
        changed = [f"{quoted(n)} = excluded.{quoted(n)}" for n in given if n not in primary]
        action = f"UPDATE SET {', '.join(changed)}" if changed else "NOTHING"
        return self._connection._changed(
            f'INSERT INTO {self._name} ({names}) SELECT {names} FROM "$rows" '
            f"ON CONFLICT ({', '.join(map(quoted, primary))}) DO {action}",
            source,
        )

    def delete(self, where: str, params: Any = None) -> int:
        """Deletes the rows for which a condition holds; returns how many."""
        return self._connection._changed(f"DELETE FROM {self._name} WHERE {where}", params=params)

    def update(self, values: dict[str, Any], where: str, params: Any = None) -> int:
        """Sets columns of the rows for which a condition holds; returns how many."""
        from .parameters import bind

        where, given = bind(where, params)
        count = len(given)
        if "?" in where and given:
            raise ProgrammingError("write parameters of update as $1, $2, or by name")
        assigned = [f"{quoted(name)} = ${count + i}" for i, name in enumerate(values, 1)]
        sql = f"UPDATE {self._name} SET {', '.join(assigned)} WHERE {where}"
        return self._connection._changed(sql, params=[*given, *values.values()])

    def get(self, key: Any) -> dict[str, Any] | None:
        """The row with a key, as a dict; ``None`` when there is none.

        The key of several columns is a tuple in their order.
        """
        if self._get is None:
            primary = self.primary_key
            if not primary:
                raise ProgrammingError(f"the table {self._name} has no primary key to get by")
            condition = " AND ".join(f"{quoted(n)} = ${i}" for i, n in enumerate(primary, 1))
            sql = f"SELECT * FROM {self._name} WHERE {condition}"
            self._get = self._connection._session.prepare(sql)
            self._key = primary
        values = list(key) if isinstance(key, tuple) else [key]
        assert self._key is not None
        if len(values) != len(self._key):
            raise ProgrammingError(f"the key of {self._name} is {', '.join(self._key)}")
        return self._get.row(values)

    def search(
        self,
        vector: Any,
        k: int = 10,
        *,
        where: str | None = None,
        params: Any = None,
        column: str | None = None,
        metric: str = "l2",
    ) -> Relation:
        """The ``k`` rows whose vectors are nearest to one, nearest first, with a ``distance``.

        Every vector that passes ``where`` is looked at: there is no index yet. The metrics are
        ``l2``, ``cosine`` and ``ip``, the negative inner product.
        """
        from .parameters import bind

        if metric not in _METRICS:
            raise ProgrammingError(f"the metrics are {', '.join(_METRICS)}, not '{metric}'")
        column = column or self._vector_column()
        condition, values = bind(where or "true", params)
        if "?" in condition and values:
            raise ProgrammingError("write parameters of where as $1, $2, or by name")
        place = f"${len(values) + 1}"
        distance = f"{quoted(column)} {_METRICS[metric]} {place}"
        name = "_distance" if "distance" in self.columns else "distance"
        sql = (
            f"SELECT *, {distance} AS {name} FROM {self._name} "
            f"WHERE ({condition}) AND {quoted(column)} IS NOT NULL ORDER BY {name} LIMIT {int(k)}"
        )
        vector = vector.tolist() if hasattr(vector, "tolist") else list(vector)
        return self._connection._with(sql, [], [*values, [float(x) for x in vector]])

    def _vector_column(self) -> str:
        relation = self.rel()
        kinds = zip(relation.columns, relation.types, strict=True)
        vectors = [name for name, kind in kinds if kind.startswith(("vector", "halfvec"))]
        if len(vectors) != 1:
            found = ", ".join(vectors) or "none"
            raise ProgrammingError(f"say which column: {self._name} has vectors in {found}")
        return vectors[0]

    def create_index(self, column: str, kind: str = "hnsw", **options: Any) -> None:
        """There are no indexes of vectors yet: ``search`` looks at every row."""
        raise NotSupportedError(
            f"an index of the kind '{kind}' is not supported yet: search() is exact without one"
        )

    def __repr__(self) -> str:
        return repr(self.rel())

    def _repr_html_(self) -> str:
        return self.rel()._repr_html_()
