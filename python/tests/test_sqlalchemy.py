"""SQLAlchemy: its core, its ORM, reflection, and pandas on top."""

import datetime as dt
import threading

import pandas as pd
import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import registry

import sheafdb

registry.register("sheafdb", "sheafdb.sqlalchemy", "SheafDialect")


@pytest.fixture(params=["folder", "server"])
def engine(request, tmp_path):
    """An engine on a database in a folder, and one on a database that a server has."""
    if request.param == "folder":
        url = f"sheafdb:///{tmp_path / 'db'}"
    else:
        url = request.getfixturevalue("address").replace("flight://", "sheafdb://")
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def test_tables_are_made_filled_and_read_back(engine):
    metadata = sa.MetaData()
    table = sa.Table(
        "people",
        metadata,
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("born", sa.Date),
        sa.Column("height", sa.Numeric(5, 2)),
    )
    metadata.create_all(engine)
    metadata.create_all(engine)
    with engine.begin() as connection:
        rows = [
            {"id": 1, "name": "Ada", "born": dt.date(1815, 12, 10)},
            {"id": 2, "name": "Alan", "born": None},
        ]
        connection.execute(sa.insert(table), rows)
        found = connection.execute(sa.select(table.c.name).where(table.c.id == 2)).scalar_one()
        assert found == "Alan"
        count = connection.execute(sa.update(table).where(table.c.id == 1).values(height=1.65))
        assert count.rowcount == 1
    reflected = sa.Table("people", sa.MetaData(), autoload_with=engine)
    assert [column.name for column in reflected.primary_key] == ["id"]
    assert isinstance(reflected.c.height.type, sa.Numeric) and reflected.c.height.type.scale == 2
    assert not reflected.c.name.nullable and reflected.c.born.nullable
    inspector = sa.inspect(engine)
    assert inspector.get_table_names() == ["people"] and inspector.has_table("people")
    metadata.drop_all(engine)
    assert sa.inspect(engine).get_table_names() == []


def test_objects_are_kept(engine):
    class Base(orm.DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "person"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
        name: orm.Mapped[str]

    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([Person(id=1, name="Ada"), Person(id=2, name="Alan")])
        session.commit()
        ada = session.get(Person, 1)
        ada.name = "Lovelace"
        session.commit()
    with orm.Session(engine) as session:
        names = session.scalars(sa.select(Person.name).order_by(Person.id)).all()
        assert names == ["Lovelace", "Alan"]


def test_pandas_writes_and_reads(engine):
    frame = pd.DataFrame(
        {"n": [1, 2, 3], "s": ["a", None, "c"], "t": pd.to_datetime(["2026-01-01"] * 3)}
    )
    assert frame.to_sql("frame", engine, index=False) == 3
    frame.to_sql("frame", engine, index=False, if_exists="append")
    back = pd.read_sql("SELECT * FROM frame WHERE n > 1 ORDER BY n", engine)
    assert back["n"].tolist() == [2, 2, 3, 3] and back["t"][0] == pd.Timestamp(2026, 1, 1)
    assert pd.read_sql_table("frame", engine).shape == (6, 3)
    frame.to_sql("frame", engine, index=False, if_exists="replace")
    assert len(pd.read_sql_query("SELECT * FROM frame", engine)) == 3


def test_a_database_in_memory_is_one(con):
    engine = sa.create_engine("sheafdb://")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (n INT)"))
    found = []

    def ask():
        with engine.connect() as connection:
            found.append(connection.execute(sa.text("SELECT count(*) FROM t")).scalar())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert found == [0]


def test_options_are_in_the_query_of_the_url(tmp_path):
    with sheafdb.connect(tmp_path / "db"):
        pass
    url = f"sheafdb:///{tmp_path / 'db'}?read_only=true&sync_interval=0.5&statement_timeout=5s"
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        with pytest.raises(sa.exc.OperationalError):
            connection.execute(sa.text("CREATE TABLE t (n INT)"))
