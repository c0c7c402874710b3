"""What those see who watch over a server."""

import json
import re
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import adbc_driver_manager
import grpc
import pytest

from conftest import SHEAF, Server
from protobuf import values


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.status, answer.headers["content-type"], answer.read().decode()


def test_health_and_metrics(tmp_path):
    server = Server(tmp_path / "db", "--http", "127.0.0.1:0")
    banner = iter(server.process.stdout.readline, "")
    http = next(found.group() for line in banner if (found := re.search(r"http://[\d.]+:\d+", line)))
    assert get(f"{http}/health")[::2] == (200, "ok\n")
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a BIGINT)")
        cursor.execute("SELECT * FROM generate_series(1, 1000)")
        assert len(cursor.fetchall()) == 1000
        with pytest.raises(adbc_driver_manager.Error):
            cursor.execute("SELECT nothing")
        status, kind, text = get(f"{http}/metrics")
    assert status == 200 and kind.startswith("application/openmetrics-text"), kind
    values = dict(re.findall(r"^(\S+) (\S+)$", text, re.MULTILINE))
    assert int(values["sheaf_connections"]) >= 1
    assert int(values["sheaf_tables"]) == 1
    assert int(values["sheaf_rows_total"]) >= 1000
    assert int(values["sheaf_statements_failed_total"]) >= 1
    assert int(values["sheaf_memory_limit_bytes"]) > 0
    assert 'sheaf_memory_bytes{use="queries"}' in values
    assert text.endswith("# EOF\n")
    assert server.stop() == 0


class Collector:
    """Keeps the requests of traces that it is sent."""

    def __init__(self):
        self.received = []
        self.server = grpc.server(ThreadPoolExecutor(2))
        self.server.add_generic_rpc_handlers([self])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def service(self, call):
        assert call.method == "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        return grpc.unary_unary_rpc_method_handler(self.take)

    def take(self, request, context):
        self.received.append(request)
        return b""


def test_statements_are_traced(tmp_path, monkeypatch):
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
    server = Server(tmp_path / "db")
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    own = {"adbc.flight.sql.rpc.call_header.traceparent": f"00-{trace}-{span}-01"}
    with server.connect(**own) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 'continued' AS a")
        cursor.fetchall()
        # By several endpoints it runs when they are read.
        connection.adbc_connection.set_options(**{"adbc.flight.sql.session.option.endpoints": "2"})
        cursor.execute("SELECT 'continued later' AS a")
        cursor.fetchall()
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 'traced' AS a FROM generate_series(1, 3)")
        cursor.fetchall()
        with pytest.raises(adbc_driver_manager.Error):
            cursor.execute("SELECT 1 / 0")
            cursor.fetchall()
    # The last ones are sent before the server ends.
    assert server.stop() == 0
    collector.server.stop(None)
    received = b"".join(collector.received)
    for told in [b"sheaf", b"statement", b"db.query.text", b"SELECT 'traced'", b"22012"]:
        assert told in received, told
    # The fields of requests, resources and scopes; then the trace of a span, and its parent.
    spans = [span for request in collector.received for span in values(request, 1, 2, 2)]
    of = {text: [(values(s, 1), values(s, 4)) for s in spans if text in s]
          for text in [b"'continued'", b"'continued later'", b"'traced'"]}
    own = ([bytes.fromhex(trace)], [bytes.fromhex(span)])
    assert set(map(str, of[b"'continued'"] + of[b"'continued later'"])) == {str(own)}
    assert own not in of[b"'traced'"] and all(of.values())


def test_statements_are_logged(tmp_path, monkeypatch):
    monkeypatch.setenv("SHEAF_LOG", "sheaf::statement=debug")
    made = [SHEAF, str(tmp_path / "db"), "-c", "CREATE USER ada PASSWORD 'x'"]
    assert subprocess.run(made, timeout=60).returncode == 0
    server = Server(tmp_path / "db", "--log", "json")
    with server.connect(username="ada", password="x") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT sum(value) AS s FROM generate_series(1, 10)")
        assert cursor.fetchall() == [(55,)]
        with pytest.raises(adbc_driver_manager.Error):
            cursor.execute("SELECT * FROM nothing_here")
        cursor.execute("CREATE USER eve PASSWORD 'a secret'")
    assert server.stop() == 0
    text = server.process.stderr.read()
    logged = [json.loads(line)["fields"] for line in text.splitlines() if line.startswith("{")]
    done = [fields for fields in logged if fields.get("sql", "").startswith("SELECT sum")]
    assert done and all(fields["query"] > 0 for fields in done)
    assert any(fields["rows"] == 1 and fields["user"] == "ada" for fields in done)
    assert any(fields.get("sqlstate") == "42P01" for fields in logged)
    assert "a secret" not in text
