"""Who may come in, and what they may do with the server's files."""

import subprocess
import time

import adbc_driver_manager
import jwt
import pyarrow.flight as flight
import pytest
import trustme
from adbc_driver_flightsql import DatabaseOptions

from conftest import SHEAF, Server

SECRET = "a secret of more than thirty-two bytes"


def sheaf(*arguments):
    return subprocess.run([SHEAF, *map(str, arguments)], capture_output=True, text=True, timeout=60)


def shell(server, *options):
    """What our own client says to a query."""
    ran = sheaf("connect", server.uri, *options, "--format", "csv", "-c", "SELECT 1 AS a")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def one(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def is_refused(server, **options):
    with pytest.raises(adbc_driver_manager.Error, match="28000"):
        with server.connect(**options) as connection:
            one(connection, "SELECT 1")
    return True


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server of a database with a user."""
    folder = tmp_path_factory.mktemp("guarded") / "db"
    assert sheaf(folder, "-c", "CREATE USER ada PASSWORD 'open sesame'").returncode == 0
    server = Server(folder)
    yield server
    assert server.stop() == 0


def test_14_a_user_logs_in_with_a_password(guarded):
    with guarded.connect(username="ada", password="open sesame") as connection:
        mine = "SELECT user_name FROM sheaf.queries"
        assert one(connection, mine) == ("ada",)


def test_14_nobody_else_comes_in(guarded):
    assert is_refused(guarded)
    assert is_refused(guarded, username="ada", password="wrong")
    assert is_refused(guarded, username="bob", password="open sesame")
    unknown = {DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer 00112233445566778899aabbccddeeff"}
    assert is_refused(guarded, **unknown)
    client = flight.connect(guarded.uri)
    for call in (client.list_actions, lambda: list(client.list_flights())):
        with pytest.raises(flight.FlightUnauthenticatedError):
            call()


def test_14_a_token_is_for_any_client(guarded):
    client = flight.connect(guarded.uri)
    token = client.authenticate_basic_token("ada", "open sesame")
    assert token[1].startswith(b"Bearer ")
    options = flight.FlightCallOptions(headers=[token])
    assert client.list_actions(options)
    header = {DatabaseOptions.AUTHORIZATION_HEADER.value: token[1].decode()}
    with guarded.connect(**header) as connection:
        assert one(connection, "SELECT 1") == (1,)


def test_14_a_token_ends_with_its_password(guarded):
    with guarded.connect(username="ada", password="open sesame") as connection:
        one(connection, "SELECT 1")
        with connection.cursor() as cursor:
            cursor.execute("CREATE USER eve PASSWORD 'first'")
        with guarded.connect(username="eve", password="first") as eve:
            assert one(eve, "SELECT 1") == (1,)
            with connection.cursor() as cursor:
                cursor.execute("ALTER USER eve PASSWORD 'second'")
            with pytest.raises(adbc_driver_manager.Error, match="28000"):
                one(eve, "SELECT 1")
        with connection.cursor() as cursor:
            cursor.execute("DROP USER eve")
        assert is_refused(guarded, username="eve", password="second")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Certificates in files: of the server, of those who give them, and of a client."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server = authority.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(folder / "server.key")
    for certificate in server.cert_chain_pems:
        certificate.write_to_path(folder / "server.pem", append=True)
    client = authority.issue_cert("client@example.org")
    (folder / "client.key").write_bytes(client.private_key_pem.bytes())
    (folder / "client.pem").write_bytes(b"".join(pem.bytes() for pem in client.cert_chain_pems))
    return folder


def test_14_tls(authority, tmp_path):
    options = ("--tls-cert", authority / "server.pem", "--tls-key", authority / "server.key")
    server = Server(tmp_path / "db", *options)
    assert server.uri.startswith("grpc+tls://")
    roots = {DatabaseOptions.TLS_ROOT_CERTS.value: (authority / "ca.pem").read_text()}
    with server.connect(**roots) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '1min'")
        # Its state lives with the connection here, too.
        assert one(connection, "SHOW statement_timeout") == ("statement_timeout", "1 min")
    with pytest.raises(adbc_driver_manager.Error):
        with server.connect() as connection:
            one(connection, "SELECT 1")
    assert shell(server, "--ca", authority / "ca.pem") == "a\n1\n"
    with pytest.raises(AssertionError, match="certificate"):
        shell(server)
    assert server.stop() == 0


def test_14_mutual_tls(authority, tmp_path):
    options = ("--tls-cert", authority / "server.pem", "--tls-key", authority / "server.key")
    server = Server(tmp_path / "db", *options, "--client-ca", authority / "ca.pem")
    roots = {DatabaseOptions.TLS_ROOT_CERTS.value: (authority / "ca.pem").read_text()}
    mine = {
        DatabaseOptions.MTLS_CERT_CHAIN.value: (authority / "client.pem").read_text(),
        DatabaseOptions.MTLS_PRIVATE_KEY.value: (authority / "client.key").read_text(),
    }
    with server.connect(**roots, **mine) as connection:
        assert one(connection, "SELECT 1") == (1,)
    with pytest.raises(adbc_driver_manager.Error):
        with server.connect(**roots) as connection:
            one(connection, "SELECT 1")
    mine = ("--cert", authority / "client.pem", "--key", authority / "client.key")
    assert shell(server, "--ca", authority / "ca.pem", *mine) == "a\n1\n"
    with pytest.raises(AssertionError):
        shell(server, "--ca", authority / "ca.pem")
    assert server.stop() == 0


def test_14_tokens_of_others(tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    server = Server(
        tmp_path / "db",
        *("--jwt-key", tmp_path / "secret", "--jwt-algorithm", "HS256", "--jwt-audience", "sheaf"),
    )

    def header(algorithm="HS256", **claims):
        claims = {"sub": "ada", "aud": "sheaf", "exp": time.time() + 60, **claims}
        token = jwt.encode(claims, SECRET, algorithm=algorithm)
        return {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"}

    with server.connect(**header()) as connection:
        assert one(connection, "SELECT user_name FROM sheaf.queries") == ("ada",)
    assert is_refused(server)
    assert is_refused(server, **header(aud="others"))
    assert is_refused(server, **header(exp=time.time() - 3600))
    assert is_refused(server, **header(algorithm="HS512"))
    assert server.stop() == 0


def test_14_a_public_address_needs_tls_and_users(authority, tmp_path):
    tls = ("--tls-cert", authority / "server.pem", "--tls-key", authority / "server.key")
    for options in ((), tls):
        ended = sheaf("serve", tmp_path / "db", "--flight", "0.0.0.0:0", *options)
        assert ended.returncode != 0
        assert "can be reached from elsewhere" in ended.stderr, ended.stderr
    assert sheaf(tmp_path / "db", "-c", "CREATE USER ada PASSWORD 'x'").returncode == 0
    server = Server(tmp_path / "db", *tls, address="0.0.0.0:0")
    roots = {DatabaseOptions.TLS_ROOT_CERTS.value: (authority / "ca.pem").read_text()}
    with server.connect(username="ada", password="x", **roots) as connection:
        assert one(connection, "SELECT 1") == (1,)
    with pytest.raises(adbc_driver_manager.Error, match="28000"):
        with server.connect(username="ada", password="x", **roots) as connection:
            with connection.cursor() as cursor:
                # Its end is told to a server that does not know the user any more.
                cursor.execute("DROP USER ada")
    # Without its last user it is not open to everyone.
    assert is_refused(server, **roots)
    assert server.stop() == 0
    users = sheaf(tmp_path / "db", "-c", "SELECT 'none' FROM sheaf.users HAVING count(*) = 0")
    assert "none" in users.stdout, users.stdout + users.stderr
    ended = sheaf("serve", tmp_path / "db", "--tls-cert", authority / "server.pem", "--tls-key", SHEAF)
    assert ended.returncode != 0 and "cannot listen" in ended.stderr, ended.stderr


def test_files_of_the_server_are_not_for_clients(server, cursor, tmp_path):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for sql in (
        f"SELECT * FROM '{tmp_path}/secret.csv'",
        f"COPY (SELECT 1) TO '{tmp_path}/new.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
    ):
        with pytest.raises(adbc_driver_manager.Error, match="42501"):
            cursor.execute(sql)
    assert not (tmp_path / "new.csv").exists()


def test_files_of_the_database_are_never(tmp_path):
    for folder in (tmp_path, tmp_path / "db"):
        (tmp_path / "db").mkdir(exist_ok=True)
        ended = sheaf("serve", tmp_path / "db", "--flight", "127.0.0.1:0", "--files", folder)
        assert ended.returncode != 0 and "the database's own files" in ended.stderr, ended.stderr


def test_files_in_a_folder_are(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "open.csv").write_text("a\n1\n2\n")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    server = Server(tmp_path / "db", "--files", shared)
    with server.connect() as connection:
        assert one(connection, "SELECT sum(a) FROM 'open.csv'") == (3,)
        with connection.cursor() as cursor:
            cursor.execute("COPY (SELECT 7 AS a) TO 'new.parquet'")
        assert one(connection, f"SELECT a FROM '{shared}/new.parquet'") == (7,)
        for name in ("../secret.csv", f"{tmp_path}/secret.csv"):
            with pytest.raises(adbc_driver_manager.Error, match="42501"):
                one(connection, f"SELECT * FROM '{name}'")
    assert server.stop() == 0
