"""SQLAlchemy's dialect: ``create_engine("sheafdb:///folder")``, ``"sheafdb://"`` in memory, or
``"sheafdb://user:password@host:port"`` for a database that a server has.

Statements are compiled as PostgreSQL's. Each is committed when it is done, so commits and
rollbacks of SQLAlchemy do nothing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import exc, types
from sqlalchemy.dialects.postgresql import base as postgresql
from sqlalchemy.engine import default, reflection
from sqlalchemy.pool import StaticPool

from .connection import MEMORY

#: The types of columns by the names that SQL gives them.
_TYPES: dict[str, type[types.TypeEngine[Any]]] = {
    "boolean": types.Boolean,
    "tinyint": types.SmallInteger,
    "smallint": types.SmallInteger,
    "integer": types.Integer,
    "bigint": types.BigInteger,
    "utinyint": types.SmallInteger,
    "usmallint": types.Integer,
    "uinteger": types.BigInteger,
    "ubigint": types.Numeric,
    "half": types.Float,
    "real": types.Float,
    "double": types.Double,
    "decimal": types.Numeric,
    "text": types.Text,
    "bytea": types.LargeBinary,
    "uuid": types.Uuid,
    "date": types.Date,
    "time": types.Time,
    "timestamp": types.TIMESTAMP,
    "timestamptz": types.TIMESTAMP,
    "interval": types.Interval,
}


def type_of(name: str) -> types.TypeEngine[Any]:
    """The type of a column, by the name that SQL gives it."""
    if name.endswith("[]"):
        return types.ARRAY(type_of(name[:-2]))
    head, _, arguments = name.rstrip(")").partition("(")
    if head == "decimal":
        precision, _, scale = arguments.partition(",")
        return types.Numeric(int(precision), int(scale))
    if head == "timestamptz":
        return types.TIMESTAMP(timezone=True)
    return _TYPES.get(head, types.NullType)()


def _is_yes(text: str) -> bool:
    return text.lower() in ("true", "1", "yes", "on")


class _DDLCompiler(postgresql.PGDDLCompiler):
    def get_column_specification(self, column: Any, **options: Any) -> str:
        """Numbers are given, not drawn from sequences."""
        name = self.preparer.format_column(column)
        kind = self.dialect.type_compiler_instance.process(column.type, type_expression=column)
        fallback = self.get_column_default_string(column)
        text = f"{name} {kind}" + (f" DEFAULT {fallback}" if fallback is not None else "")
        return text if column.nullable else text + " NOT NULL"


class SheafDialect(default.DefaultDialect):
    """See the module's documentation."""

    name = "sheafdb"
    driver = "sheafdb"
    default_paramstyle = "qmark"
    default_schema_name = "public"
    supports_alter = True
    supports_default_values = False
    supports_empty_insert = False
    supports_multivalues_insert = True
    supports_native_boolean = True
    supports_native_decimal = True
    supports_native_uuid = True
    supports_sane_multi_rowcount = True
    supports_sequences = False
    supports_statement_cache = True
    insert_returning = True
    update_returning = True
    delete_returning = True

    statement_compiler = postgresql.PGCompiler
    ddl_compiler = _DDLCompiler
    type_compiler_cls = postgresql.PGTypeCompiler
    preparer = postgresql.PGIdentifierPreparer

    @classmethod
    def import_dbapi(cls) -> Any:
        """The package is the driver."""
        import sheafdb

        return sheafdb

    @classmethod
    def get_pool_class(cls, url: Any) -> Any:
        """A database in memory is its connection's: the engine keeps one for all."""
        return super().get_pool_class(url) if url.database or url.host else StaticPool

    def create_connect_args(self, url: Any) -> Any:
        """The folder or the server, and options as the query of the URL has them."""
        given = {n: v if isinstance(v, str) else v[-1] for n, v in url.query.items()}
        if url.host:
            return self._server(url, given)
        options: dict[str, Any] = {}
        for name, text in given.items():
            match name:
                case "read_only" | "create" | "background":
                    options[name] = _is_yes(text)
                case "memtable_bytes" | "log_bytes" | "segment_rows":
                    options[name] = int(text)
                case "sync_interval":
                    options[name] = float(text)
                case _:
                    options[name] = text
        return [url.database or MEMORY], options

    def _server(self, url: Any, options: dict[str, str]) -> Any:
        if url.database:
            raise exc.ArgumentError(f"a server has one database: leave out '/{url.database}'")
        scheme = "flight+tls" if _is_yes(options.pop("tls", "no")) else "flight"
        # An address with colons is written in brackets, which the URL has no more.
        host = f"[{url.host}]" if ":" in url.host else url.host
        port = f":{url.port}" if url.port else ""
        who = {"user": url.username, "password": url.password}
        given = {name: value for name, value in who.items() if value is not None}
        return [f"{scheme}://{host}{port}"], {**given, **options}

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Each statement is committed when it is done."""

    def do_begin(self, dbapi_connection: Any) -> None:
        """Each statement is committed when it is done."""

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        """The only one."""
        return "AUTOCOMMIT"

    def get_isolation_level_values(self, dbapi_connection: Any) -> Any:
        """The only one."""
        return ["AUTOCOMMIT"]

    def _get_server_version_info(self, connection: Any) -> Any:
        return None

    def _get_default_schema_name(self, connection: Any) -> str:
        return "public"

    def _names(self, connection: Any, schema: str | None, kind: str) -> list[str]:
        sql = (
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = ? AND table_type = ? ORDER BY table_name"
        )
        rows = connection.exec_driver_sql(sql, (schema or "public", kind))
        return [name for (name,) in rows]

    @reflection.cache
    def get_schema_names(self, connection: Any, **_: Any) -> list[str]:
        """The schemas."""
        sql = "SELECT DISTINCT schema_name FROM information_schema.schemata ORDER BY schema_name"
        return [name for (name,) in connection.exec_driver_sql(sql)]

    @reflection.cache
    def get_table_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        """The tables of a schema."""
        return self._names(connection, schema, "BASE TABLE")

    @reflection.cache
    def get_view_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        """The views of a schema."""
        return self._names(connection, schema, "VIEW")

    def has_table(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> bool:
        """Whether there is a table or a view."""
        kinds = ("BASE TABLE", "VIEW")
        return any(table_name in self._names(connection, schema, kind) for kind in kinds)

    @reflection.cache
    def get_columns(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> Any:
        """The columns of a table."""
        sql = (
            "SELECT column_name, data_type, is_nullable, column_default "
            "FROM information_schema.columns WHERE table_schema = ? AND table_name = ? "
            "ORDER BY ordinal_position"
        )
        rows = connection.exec_driver_sql(sql, (schema or "public", table_name)).fetchall()
        if not rows:
            raise exc.NoSuchTableError(table_name)
        return [
            {
                "name": name,
                "type": type_of(kind),
                "nullable": nullable == "YES",
                "default": fallback,
                "autoincrement": False,
            }
            for name, kind, nullable, fallback in rows
        ]

    @reflection.cache
    def get_pk_constraint(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> Any:
        """The columns of the primary key."""
        sql = (
            "SELECT column_name, constraint_name FROM information_schema.key_column_usage "
            "WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position"
        )
        rows = connection.exec_driver_sql(sql, (schema or "public", table_name)).fetchall()
        return {
            "constrained_columns": [column for column, _ in rows],
            "name": rows[0][1] if rows else None,
        }

    def get_foreign_keys(self, *_: Any, **__: Any) -> list[Any]:
        """There are none."""
        return []

    def get_indexes(self, *_: Any, **__: Any) -> list[Any]:
        """There are none."""
        return []

    def get_unique_constraints(self, *_: Any, **__: Any) -> list[Any]:
        """There are none."""
        return []

    def get_check_constraints(self, *_: Any, **__: Any) -> list[Any]:
        """There are none."""
        return []

    def get_table_comment(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> Any:
        """There are none."""
        return {"text": None}
