"""Statements that are to end before they are done."""

import subprocess
import sys
import threading
import time

import pytest

import sheafdb

LONG = "SELECT count(*) FROM range(10000000) AS a(n), range(100000) AS b(m) WHERE n * m % 7 = 1"


def test_ctrl_c_ends_a_query():
    code = f"""
import os, signal, threading, time, sheafdb
con = sheafdb.connect()
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
start = time.monotonic()
try:
    con.sql({LONG!r}).fetchall()
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - start < 5, con.sql("SELECT 1").fetchone())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "interrupted True (1,)", run.stderr


def test_interrupt_ends_what_another_thread_asked(con):
    ended = []

    def ask():
        try:
            con.sql(LONG).fetchall()
        except sheafdb.QueryCancelled as error:
            ended.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while thread.is_alive():
        con.interrupt()
        time.sleep(0.05)
    assert ended and ended[0].sqlstate == "57014"


def test_a_timeout_ends_a_statement(con):
    con.sql("SET statement_timeout = '300ms'")
    with pytest.raises(sheafdb.QueryCancelled):
        con.sql(LONG).fetchall()


def test_a_closed_cursor_ends_its_query(con):
    cursor = con.execute("SELECT n FROM range(1000000000) AS t(n)")
    assert cursor.fetchone() == (0,)
    cursor.close()
    deadline = time.monotonic() + 10
    while len(con.sql("SELECT * FROM sheaf.queries").fetchall()) > 1:
        assert time.monotonic() < deadline


def test_other_threads_go_on_while_a_query_runs(con):
    ticks = 0
    done = threading.Event()

    def ask():
        con.sql("SELECT sum(n) FROM range(20000000) AS t(n)").fetchall()
        done.set()

    thread = threading.Thread(target=ask)
    thread.start()
    while not done.is_set():
        ticks += 1
        time.sleep(0.001)
    thread.join()
    assert ticks > 3


def test_progress_is_told_of_long_statements(con):
    told = []
    con.on_progress(lambda seconds, read: told.append((seconds, read)))
    con.sql("SET statement_timeout = '3 s'")
    with pytest.raises(sheafdb.QueryCancelled):
        con.sql(LONG).fetchall()
    assert told[0][0] >= 2 and told[-1][0] is None
    told.clear()
    con.sql("SELECT 1").fetchall()
    assert told == []


def test_progress_is_a_line():
    from sheafdb import progress

    assert progress.line(3.2, None) == "3 s"
    assert progress.line(3.2, (1, 4)).endswith("│ 25%")


ENDINGS = {
    "a function that a query calls": """
import time
con.create_function("slow", lambda n: time.sleep(0.001) or n, ["BIGINT"], "BIGINT")
cursor = con.execute("SELECT slow(n) FROM range(200000) AS t(n)")
""",
    "a stream of Python's": """
import pyarrow as pa
schema = pa.schema([("n", pa.int64())])
def make():
    while True:
        yield pa.record_batch([pa.array([1] * 1000)], schema=schema)
reader = pa.RecordBatchReader.from_batches(schema, make())
cursor = con.execute("SELECT n FROM reader")
cursor.fetchone()
""",
    "a query in another thread": """
import threading, time
threading.Thread(target=lambda: con.sql(LONG).fetchall(), daemon=True).start()
time.sleep(0.2)
""",
}


@pytest.mark.parametrize("code", ENDINGS.values(), ids=ENDINGS.keys())
def test_the_interpreter_ends_while_something_runs(code):
    code = f"LONG = {LONG!r}\nimport sheafdb\ncon = sheafdb.connect()\n{code}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")


def test_a_cursor_does_not_hide_that_its_rows_are_not_all(con):
    cursor = con.execute("SELECT 10 / (50000 - n) FROM range(100000) AS t(n)")
    with pytest.raises(sheafdb.DataError):
        while cursor.fetchmany(1000):
            pass
    for _ in range(2):
        with pytest.raises(sheafdb.ProgrammingError, match="before all of its rows"):
            cursor.fetchall()
