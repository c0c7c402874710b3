"""What the tests share."""

import os
import re
import signal
import subprocess

import pytest

import sheafdb


@pytest.fixture
def con():
    """A database in memory."""
    with sheafdb.connect() as connection:
        yield connection


@pytest.fixture
def address(tmp_path):
    """The address of a server with an empty database."""
    # The binary that `cargo build` makes; `cargo xtask test` says where it is.
    sheaf = os.environ["SHEAF_BIN"]
    command = [sheaf, "serve", str(tmp_path / "served"), "--flight", "127.0.0.1:0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    banner = server.stdout.readline()
    yield re.search(r"grpc://([\d.]+:\d+)", banner).expand(r"flight://\1")
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=20)
