"""Bytes that mean harm, and clients that only hold on."""

import random
import resource
import socket
import subprocess

import pyarrow as pa
import pyarrow.flight as flight
import pytest

from conftest import SHEAF, Server
from protobuf import command, field

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
# Headers without an end: HEADERS of 100 bytes, of which one comes.
BEGUN = b"\x00\x00\x64\x01\x00\x00\x00\x00\x01\x82"
CALLS = 300


@pytest.fixture
def server(tmp_path, request):
    """A server of its own, which must live through the test without a panic."""
    folder = tmp_path / "db"
    if "guarded" in request.node.name:
        made = [SHEAF, str(folder), "-c", "CREATE USER ada PASSWORD 'x'"]
        assert subprocess.run(made, timeout=60).returncode == 0
    server = Server(folder)
    yield server
    assert server.stop() == 0
    assert "panicked" not in server.process.stderr.read()


def address(server):
    host, port = server.uri.split("//")[1].split(":")
    return host, int(port)


def send(server, message):
    """Sends bytes to a new connection and waits until the server ends it."""
    with socket.create_connection(address(server), timeout=10) as connection:
        try:
            connection.sendall(message)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass
        except TimeoutError:
            raise
        except OSError:
            pass  # The server was faster.


def frame(generator):
    """A frame of HTTP/2, more or less."""
    body = generator.randbytes(generator.choice([0, 1, 8, 100]))
    length = generator.choice([len(body), len(body), generator.randrange(1 << 24)])
    stream = generator.choice([0, 1, 1, 3, 1 << 31 | 1])
    kind, flags = generator.randrange(12), generator.randrange(256)
    return length.to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + body


def damaged(generator, message):
    """The message with a few bytes changed, lost, doubled, or after its end."""
    message = bytearray(message)
    for _ in range(generator.randrange(1, 4)):
        at = generator.randrange(len(message) + 1)
        match generator.randrange(5):
            case 0 if at < len(message):
                message[at] = generator.randrange(256)
            case 1:
                del message[at:]
            case 2:
                message[at:at] = generator.randbytes(4)
            case 3:
                # A length of more than there is.
                message[at : at + 1] = b"\xff\xff\xff\xff\x07"
            case 4:
                message += message[at:]
    return bytes(message)


def test_17_no_protocol_at_all(server):
    generator = random.Random(17)
    messages = [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + generator.randbytes(500),
        PREFACE[:10],
        PREFACE + SETTINGS + b"\x00\xff\xff\x01\x05\x00\x00\x00\x01" + b"\xff" * 70_000,
        # Streams that are opened and reset at once.
        PREFACE
        + SETTINGS
        + b"".join(
            b"\x00\x00\x01\x01\x05" + (2 * i + 1).to_bytes(4) + b"\x82"
            + b"\x00\x00\x04\x03\x00" + (2 * i + 1).to_bytes(4) + b"\x00\x00\x00\x08"
            for i in range(2000)
        ),
    ]
    for _ in range(CALLS):
        frames = b"".join(frame(generator) for _ in range(generator.randrange(1, 10)))
        messages.append(generator.choice([PREFACE + SETTINGS, PREFACE, b""]) + frames)
    for message in messages:
        send(server, message)
    works(server)


def works(server, **login):
    with server.connect(**login) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 + 1")
        assert cursor.fetchall() == [(2,)]


COMMANDS = [
    command("CommandStatementQuery", field(1, b"SELECT 1")),
    command("CommandStatementUpdate", field(1, b"SELECT 1")),
    command("CommandPreparedStatementQuery", field(1, bytes(16))),
    command("CommandPreparedStatementUpdate", field(1, bytes(16))),
    command("CommandStatementIngest", field(2, b"t")),
    command("CommandStatementSubstraitPlan", field(1, field(1, b"plan"))),
    command("CommandGetCatalogs", b""),
    command("CommandGetDbSchemas", field(1, b"sheaf") + field(2, b"%")),
    command("CommandGetTables", field(2, b"%") + field(3, b"_%") + field(4, b"TABLE") + b"\x28\x01"),
    command("CommandGetTableTypes", b""),
    command("CommandGetPrimaryKeys", field(3, b"t")),
    command("CommandGetImportedKeys", field(3, b"t")),
    command("CommandGetCrossReference", field(3, b"t") + field(6, b"u")),
    command("CommandGetSqlInfo", b"\x0a\x02\x01\x02"),
    command("CommandGetXdbcTypeInfo", b"\x08\x04"),
    command("TicketStatementQuery", field(1, b"r" + bytes(16))),
    command("TicketStatementQuery", field(1, b"q" + bytes(16) + b"SELECT 1")),
]
ACTIONS = {
    "CreatePreparedStatement": command("ActionCreatePreparedStatementRequest", field(1, b"SELECT 1")),
    "ClosePreparedStatement": command("ActionClosePreparedStatementRequest", field(1, bytes(16))),
    "CreatePreparedSubstraitPlan": command("ActionCreatePreparedSubstraitPlanRequest", b""),
    "CancelFlightInfo": field(1, field(1, b"info")),
    "CancelQuery": command("ActionCancelQueryRequest", field(1, b"info")),
    "RenewFlightEndpoint": field(1, field(1, field(1, b"ticket"))),
    "BeginTransaction": command("ActionBeginTransactionRequest", b""),
    "EndSavepoint": command("ActionEndSavepointRequest", field(1, b"x")),
    "SetSessionOptions": field(1, field(1, b"timezone") + field(2, field(1, b"UTC"))),
    "GetSessionOptions": b"",
    "CloseSession": b"",
    "": b"",
}


def call(client, options, generator):
    """One call with a damaged message."""
    descriptor = flight.FlightDescriptor.for_command(damaged(generator, generator.choice(COMMANDS)))
    match generator.randrange(6):
        case 0:
            client.get_flight_info(descriptor, options)
        case 1:
            client.get_schema(descriptor, options)
        case 2:
            client.do_get(flight.Ticket(descriptor.command), options).read_all()
        case 3:
            name, body = generator.choice(list(ACTIONS.items()))
            list(client.do_action(flight.Action(name, damaged(generator, body)), options))
        case 4:
            list(client.list_flights(generator.randbytes(9), options))
        case 5:
            rows = pa.table({"a": [1, None], "t": ["x", "y" * generator.randrange(200)]})
            writer, reader = client.do_put(descriptor, rows.schema, options)
            writer.write_table(rows)
            writer.done_writing()
            reader.read()
            writer.close()


@pytest.mark.parametrize("login", ["open", "guarded, unknown", "guarded, known"])
def test_17_damaged_messages(server, login):
    client, options = flight.connect(server.uri), flight.FlightCallOptions(timeout=30)
    if login == "guarded, known":
        header = client.authenticate_basic_token("ada", "x")
        options = flight.FlightCallOptions(timeout=30, headers=[header])
    generator, answered, refused = random.Random(5), 0, 0
    for _ in range(CALLS):
        try:
            call(client, options, generator)
            answered += 1
        except flight.FlightUnauthenticatedError:
            assert login == "guarded, unknown"
            refused += 1
        except flight.FlightTimedOutError:
            raise
        except (pa.ArrowException, flight.FlightError, NotImplementedError, KeyError, OSError):
            refused += 1
    # Not all damage is seen, and not all is harmless.
    assert refused > CALLS / 4
    assert (answered > CALLS / 20) == (login != "guarded, unknown"), answered
    works(server, **({} if login == "open" else {"username": "ada", "password": "x"}))


def memory_of(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon"))


def test_15_a_thousand_connections_that_only_hold_on(server):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 1500:
        pytest.skip(f"a process may only have {most} files open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    works(server)
    before, held = memory_of(server), []
    try:
        for i in range(1000):
            connection = socket.create_connection(address(server), timeout=10)
            # Silent, half a word, a connection without a call, half a call.
            connection.sendall([b"", PREFACE[:9], PREFACE + SETTINGS, PREFACE + SETTINGS + BEGUN][i % 4])
            held.append(connection)
        for _ in range(20):
            works(server)
        assert (memory_of(server) - before) / 1000 < 100_000
    finally:
        for connection in held:
            connection.close()
    works(server)
