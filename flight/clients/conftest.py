"""A server on a new database, for clients that know nothing of it."""

import os
import re
import signal
import subprocess

import adbc_driver_flightsql.dbapi as flight_sql
import pytest

SHEAF = os.environ["SHEAF_BIN"]


class Server:
    def __init__(self, folder, *options, address="127.0.0.1:0"):
        self.folder = folder
        self.process = subprocess.Popen(
            [SHEAF, "serve", str(folder), "--flight", address, *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        banner = self.process.stdout.readline()
        found = re.search(r"grpc(\+tls)?://[\d.]+:\d+", banner)
        assert found, banner + self.process.stderr.read()
        self.uri = found.group().replace("0.0.0.0", "127.0.0.1")

    def connect(self, **options):
        return flight_sql.connect(self.uri, db_kwargs=options, autocommit=True)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server") / "db")
    yield server
    assert server.stop() == 0


@pytest.fixture
def connection(server):
    with server.connect() as connection:
        yield connection


@pytest.fixture
def cursor(connection):
    with connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def table(cursor, request):
    """The name of a table that is not there."""
    name = request.node.name.split("[")[0]
    cursor.execute(f'DROP TABLE IF EXISTS "{name}"')
    yield name
    cursor.execute(f'DROP TABLE IF EXISTS "{name}"')
