"""Connecting: in memory, to folders, with options, together, and after a fork."""

import subprocess
import sys
import threading

import pytest

import sheafdb


def test_a_folder_keeps_what_was_committed(tmp_path):
    with sheafdb.connect(tmp_path / "db") as con:
        con.sql("CREATE TABLE t (n BIGINT)")
        con.sql("INSERT INTO t VALUES (1), (2)")
    with sheafdb.connect(str(tmp_path / "db")) as con:
        assert con.sql("SELECT sum(n) FROM t").fetchone() == (3,)


def test_databases_in_memory_are_their_own(con):
    con.sql("CREATE TABLE t (n BIGINT)")
    with sheafdb.connect() as other:
        with pytest.raises(sheafdb.ProgrammingError, match="'t' not found"):
            other.sql("SELECT * FROM t")


def test_closing_is_idempotent_and_final(con):
    rel = con.sql("SELECT 1")
    con.close()
    con.close()
    for use in (lambda: con.sql("SELECT 1"), lambda: con.cursor(), con.interrupt):
        with pytest.raises(sheafdb.ProgrammingError, match="connection is closed"):
            use()
    with pytest.raises(sheafdb.Error):
        rel.fetchall()
    assert "closed" in repr(con)


def test_connections_of_a_process_share_a_folder(tmp_path):
    one = sheafdb.connect(tmp_path / "db")
    two = sheafdb.connect(tmp_path / "db")
    one.sql("CREATE TABLE t AS SELECT 1 AS n")
    one.sql("CREATE TEMPORARY TABLE mine AS SELECT 2 AS n")
    assert two.sql("SELECT n FROM t").fetchone() == (1,)
    with pytest.raises(sheafdb.ProgrammingError):
        two.sql("SELECT n FROM mine")
    one.close()
    assert two.sql("SELECT n FROM t").fetchone() == (1,)
    with pytest.raises(sheafdb.ProgrammingError, match="other options"):
        sheafdb.connect(tmp_path / "db", read_only=True)
    # Settings are the session's, and a default may be said.
    sheafdb.connect(tmp_path / "db", statement_timeout="5 s", read_only=False).close()
    two.close()
    with sheafdb.connect(tmp_path / "db", read_only=True) as con:
        assert con.sql("SELECT n FROM t").fetchone() == (1,)
        with pytest.raises(sheafdb.OperationalError, match="read"):
            con.sql("INSERT INTO t VALUES (2)")


def test_a_folder_that_another_process_writes_is_locked(tmp_path):
    with sheafdb.connect(tmp_path / "db"):
        code = f"import sheafdb; sheafdb.connect({str(tmp_path / 'db')!r})"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert other.returncode == 1
    assert "OperationalError" in other.stderr and "open" in other.stderr


def test_options_are_checked(tmp_path):
    with sheafdb.connect(memory_limit="256 MiB", durability="none", statement_timeout="5 s") as con:
        assert con.sql("SHOW memory_limit").fetchone()[-1] == "256 MiB"
    with pytest.raises(sheafdb.ProgrammingError, match="did you mean 'memory_limit'"):
        sheafdb.connect(memory_limt="1GB")
    with pytest.raises(ValueError, match="sync, interval or none"):
        sheafdb.connect(durability="maybe")
    with pytest.raises(TypeError):
        sheafdb.connect(read_only="yes")
    with pytest.raises(sheafdb.Error, match="nowhere"):
        sheafdb.connect(tmp_path / "nowhere", create=False)
    with pytest.raises(sheafdb.InterfaceError, match="flight://host:port"):
        sheafdb.connect("http://localhost:32010")


def test_a_forked_process_is_told_so_and_ends_well(tmp_path):
    code = f"""
import os, sys, threading, warnings, sheafdb
warnings.simplefilter("ignore")
folder = {str(tmp_path / "db")!r}
con = sheafdb.connect(folder)
con.sql("CREATE TABLE t (n BIGINT)")
sheafdb.sql("SELECT 1").fetchall()
rows = con.sql("SELECT * FROM range(10) AS r(n)")
rows.fetchone()
fetching, forked = threading.Event(), threading.Event()
def fetch():
    with rows._turn():
        fetching.set()
        forked.wait()
thread = threading.Thread(target=fetch)
thread.start()
fetching.wait()
child = os.fork()
if child == 0:
    uses = [lambda: con.sql("SELECT 1"), lambda: sheafdb.connect(), lambda: sheafdb.connect(folder),
            lambda: sheafdb.sql("SELECT 1"), rows.fetchone]
    for use in uses:
        try:
            use()
        except sheafdb.ProgrammingError as error:
            assert "forked" in str(error) and "spawn" in str(error)
        else:
            os._exit(3)
    con.close()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
forked.set()
thread.join()
assert rows.fetchone() == (1,)
con.sql("INSERT INTO t VALUES (1)")
assert len(con.table("t")) == 1
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")


def test_threads_share_a_relation(con):
    relation = con.sql("SELECT n FROM range(10000) AS r(n)")
    rows, errors = [], []

    def take():
        try:
            for _ in range(300):
                rows.append(relation.fetchone())
                rows.extend(relation.fetchmany(3))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sorted(rows) == [(n,) for n in range(4800)]


def test_threads_share_a_connection(con):
    con.sql("CREATE TABLE t (n BIGINT PRIMARY KEY)")
    failures = []

    def work(base):
        try:
            for i in range(50):
                con.execute("INSERT INTO t VALUES (?)", (base + i,))
                con.sql("SELECT count(*) FROM t").fetchone()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(1000 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(con.table("t")) == 200


def test_a_killed_process_leaves_what_it_was_told_is_safe(tmp_path):
    code = f"""
import os, signal, sheafdb
con = sheafdb.connect({str(tmp_path / "db")!r})
con.sql("CREATE TABLE t (n BIGINT)")
con.table("t").append({{"n": list(range(1000))}})
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    with sheafdb.connect(tmp_path / "db") as con:
        assert len(con.table("t")) == 1000


def test_the_module_has_a_database_of_its_own():
    assert sheafdb.sql("SELECT 1 AS one").fetchone() == (1,)
    assert sheafdb.execute("SELECT 2").fetchall() == [(2,)]


def test_importing_brings_nothing_else_in(tmp_path):
    code = """
import sys
import sheafdb
heavy = {"numpy", "pandas", "polars", "pyarrow", "duckdb", "asyncio", "html", "dataclasses"}
heavy = (heavy | {"importlib.metadata"}) & set(sys.modules)
assert not heavy, heavy
"""
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
