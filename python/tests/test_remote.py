"""A database that a server has."""

import os
import re
import signal
import subprocess

import pytest

import sheafdb

# The binary that `cargo build` makes; `cargo xtask test` says where it is.
SHEAF = os.environ["SHEAF_BIN"]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server") / "db"
    command = [SHEAF, "serve", str(folder), "--flight", "127.0.0.1:0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    banner = server.stdout.readline()
    yield re.search(r"grpc://([\d.]+:\d+)", banner).expand(r"flight://\1")
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=20)


def test_the_same_calls_reach_a_server(address):
    with sheafdb.connect(address) as con:
        assert con.sql("CREATE TABLE t (n BIGINT PRIMARY KEY, s TEXT)") is None
        assert con.table("t").append({"n": [1, 2], "s": ["a", "b"]}) == 2
        assert con.table("t").upsert({"n": [2, 3], "s": ["z", "c"]}, key="n") == 2
        rel = con.sql("SELECT * FROM t WHERE n > $least ORDER BY n", {"least": 1})
        assert rel.fetchall() == [(2, "z"), (3, "c")]
        assert rel.fetchone() == (2, "z")
        assert rel.arrow().num_rows == 2 and len(rel.df()) == 2 and rel.pl().height == 2
        assert "2 rows" in repr(rel)
        assert con.table("t").delete("n = 1") == 1 and len(con.table("t")) == 2
        con.execute("SET statement_timeout = '7 s'").close()
        assert con.sql("SHOW statement_timeout").fetchall()[0][-1] == "7 s"
        con.sql("CREATE TEMPORARY TABLE mine AS SELECT 1 AS n")
        assert len(con.table("mine")) == 1
        with pytest.raises(sheafdb.NotSupportedError):
            con.rollback()
        con.close()
    with pytest.raises(sheafdb.ProgrammingError, match="no option 'durability'"):
        sheafdb.connect(address, durability="none")
    with pytest.raises(Exception, match="(?i)connect|unavailable|refused"):
        with sheafdb.connect("flight://127.0.0.1:1") as con:
            con.sql("SELECT 1").fetchall()
