"""Which of three errors the client raises when no answer can be read, against sockets that misbehave as networks do."""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hmt_pass.client import Client
from hmt_pass.errors import CallError, NotConnectedError, NotSentError, UnansweredError, UnreadableReplyError

SECRET = "a-secret-of-the-account"
PHOTO = b"\xff\xd8\xff" + bytes(50_000)
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"code": "1000"}'
Script = Callable[[socket.socket], None]


def receive(connection: socket.socket) -> None:
    """Read one whole request. Raises ConnectionError when none comes any more."""
    received = bytearray()
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
    while len(body) < length:
        body += _some(connection)


def _some(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionError("the client hung up")
    return received


def reset(connection: socket.socket) -> None:
    """Have the coming close send RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drip(connection: socket.socket, data: bytes) -> None:
    for byte in data:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def reset_before_reading(connection: socket.socket) -> None:
    connection.recv(1)
    reset(connection)


def reset_after_reading(connection: socket.socket) -> None:
    receive(connection)
    reset(connection)


def close_after_reading(connection: socket.socket) -> None:
    receive(connection)


def say_nothing(connection: socket.socket) -> None:
    receive(connection)
    connection.recv(1)


def read_nothing(connection: socket.socket) -> None:
    connection.settimeout(5)
    time.sleep(0.6)


def drip_the_head(connection: socket.socket) -> None:
    receive(connection)
    drip(connection, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200)


def drip_the_body(connection: socket.socket) -> None:
    receive(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n")
    drip(connection, b" " * 200)


def half_a_body(connection: socket.socket) -> None:
    receive(connection)
    connection.sendall(ANSWER[:-8])


def half_a_chunk(connection: socket.socket) -> None:
    receive(connection)
    connection.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"code')


def another_protocol(connection: socket.socket) -> None:
    receive(connection)
    connection.sendall(b"220 mail.example ESMTP\r\n")


@contextmanager
def scripted(*scripts: Script) -> Iterator[str]:
    """The address of a server that plays one script a connection and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def play() -> None:
            for script in scripts:
                connection = listener.accept()[0]
                with connection:
                    try:
                        script(connection)
                    except OSError:
                        continue  # the client hung up, as it should

        thread = threading.Thread(target=play)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def impatient(url: str) -> Client:
    return Client("an-account", SECRET, url, connect_timeout_s=0.3, read_timeout_s=0.3, total_timeout_s=0.5)


def failure(client: Client, photo: bytes = PHOTO) -> CallError:
    with pytest.raises(CallError) as caught:
        client.recognize(photo)
    return caught.value


@pytest.mark.parametrize(
    "script",
    [
        reset_before_reading,
        reset_after_reading,
        close_after_reading,
        say_nothing,
        drip_the_head,
        drip_the_body,
        half_a_body,
        half_a_chunk,
        another_protocol,
    ],
    ids=lambda script: script.__name__,
)
def test_a_request_that_was_sent_and_not_answered_is_ambiguous(script: Script) -> None:
    with scripted(script) as address:
        error = failure(impatient(f"http://{address}"))
    assert isinstance(error, UnansweredError)
    assert error.possibly_charged


@pytest.mark.parametrize("script", [drip_the_head, drip_the_body], ids=lambda script: script.__name__)
def test_a_dripping_server_cannot_exceed_the_total_limit(script: Script) -> None:
    started_s = time.monotonic()
    with scripted(script) as address:
        failure(impatient(f"http://{address}"))
        took_s = time.monotonic() - started_s
    assert 0.4 < took_s < 3


def test_a_server_that_takes_only_a_part_of_the_photo_leaves_it_ambiguous() -> None:
    with scripted(read_nothing) as address:
        error = failure(impatient(f"http://{address}"), bytes(20_000_000))
    assert isinstance(error, UnansweredError)


def test_a_slow_uplink_may_take_longer_than_the_connect_timeout() -> None:
    def read_late(connection: socket.socket) -> None:
        time.sleep(0.5)
        receive(connection)
        connection.sendall(ANSWER)

    with scripted(read_late) as address:
        client = Client("an-account", SECRET, f"http://{address}", connect_timeout_s=0.2, total_timeout_s=20)
        assert client.recognize(bytes(20_000_000)).code == "1000"


def test_what_comes_too_late_to_be_sent_is_not_sent() -> None:
    got: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        got.append(connection.recv(1))

    with scripted(listen) as address, pytest.raises(NotSentError) as caught:
        impatient(f"http://{address}").recognize(PHOTO, send_until_s=time.monotonic())
    assert (False, [b""]) == (caught.value.possibly_charged, got)


def test_a_refused_port_means_not_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    error = failure(impatient(f"http://{address}"))
    assert isinstance(error, NotConnectedError)
    assert not error.possibly_charged
    assert "Connection refused" in str(error)


def test_a_name_that_does_not_resolve_means_not_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failure(impatient("https://endpoint.example"))
    assert isinstance(error, NotConnectedError)
    assert "no connection to endpoint.example: [Errno -2] Name or service not known" in str(error)


def test_a_server_that_accepts_no_more_connections_means_not_connected() -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        error = failure(impatient(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    assert isinstance(error, NotConnectedError)


def test_a_tls_handshake_that_fails_means_not_connected() -> None:
    def speak_plainly(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with scripted(speak_plainly) as address:
        assert isinstance(failure(impatient(f"https://{address}")), NotConnectedError)


def test_a_tls_handshake_that_hangs_means_not_connected() -> None:
    with scripted(lambda connection: drip(connection, b"\x16\x03\x03\x40\x00" + bytes(40))) as address:
        assert isinstance(failure(impatient(f"https://{address}")), NotConnectedError)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b""], ids=["407", "closed"])
def test_what_a_proxys_tunnel_was_asked_is_not_the_request(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(connection: socket.socket) -> None:
        receive(connection)
        connection.sendall(answer)

    with scripted(refuse) as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        assert isinstance(failure(impatient("https://endpoint.example")), NotConnectedError)


def test_a_kept_connection_that_the_server_closed_meanwhile_is_replaced() -> None:
    closed = threading.Event()

    def answer(connection: socket.socket) -> None:
        receive(connection)
        connection.sendall(ANSWER)

    def answer_and_close(connection: socket.socket) -> None:
        answer(connection)
        connection.close()
        closed.set()

    with scripted(answer_and_close, answer) as address:
        client = impatient(f"http://{address}")
        client.recognize(PHOTO)
        assert closed.wait(5)
        assert client.recognize(PHOTO).code == "1000"


def test_a_connection_that_a_server_may_be_closing_by_now_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer_twice(connection: socket.socket) -> None:
        for _ in range(2):
            receive(connection)
            connection.sendall(ANSWER)

    def answer_and_wait(connection: socket.socket) -> None:
        receive(connection)
        connection.sendall(ANSWER)
        came_next.append(connection.recv(1))

    came_next: list[bytes] = []
    with scripted(answer_twice) as address:
        client = Client("id", SECRET, f"http://{address}")
        assert ["1000", "1000"] == [client.recognize(PHOTO).code for _ in range(2)]
    monkeypatch.setattr("hmt_pass.connection.MAX_IDLE_S", 0.0)
    with scripted(answer_and_wait, answer_and_wait) as address:
        client = Client("id", SECRET, f"http://{address}")
        assert ["1000", "1000"] == [client.recognize(PHOTO).code for _ in range(2)]
        del client
    assert [b"", b""] == came_next


def test_an_answer_that_comes_before_the_whole_photo_is_read() -> None:
    def answer_early(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(ANSWER)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    with scripted(answer_early) as address:
        assert Client("an-account", SECRET, f"http://{address}").recognize(PHOTO).code == "1000"


def test_an_error_shows_neither_parameters_nor_the_answer_nor_another_exception() -> None:
    with scripted(another_protocol) as address:
        error = failure(impatient(f"http://{address}"))
    assert (error.__cause__, error.__context__) == (None, None)
    for secret in (SECRET, "an-account", "mail.example", "sign"):
        assert secret not in str(error)


@pytest.mark.parametrize("status", [100, 102, 103])
def test_an_answer_that_is_announced_is_the_answer_to_its_own_call(status: int) -> None:
    hint = f"HTTP/1.1 {status} Wait\r\nLink: </x>\r\n\r\n".encode()

    def announced(connection: socket.socket) -> None:
        for number in range(3):
            receive(connection)
            connection.sendall(hint * number)
            time.sleep(0.1)
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"code": "200%d"}' % number)

    with scripted(announced) as address:
        client = Client("id", SECRET, f"http://{address}")
        assert ["2000", "2001", "2002"] == [client.recognize(PHOTO).code for _ in range(3)]


def test_a_connection_whose_answer_could_not_be_read_is_not_used_again() -> None:
    came_next: list[bytes] = []

    def without_an_answer(connection: socket.socket) -> None:
        receive(connection)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        came_next.append(connection.recv(1))

    with scripted(without_an_answer, without_an_answer) as address:
        client = Client("id", SECRET, f"http://{address}")
        for _ in range(2):
            with pytest.raises(UnreadableReplyError):
                client.recognize(PHOTO)
    assert [b"", b""] == came_next
