"""Where the endpoint listens, and which methods and targets it serves there."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from endpoints import API_ID, API_SECRET, Endpoint, Engine, running
from wires import wire

from hmt_pass.endpoint.accounts import Account, Accounts
from hmt_pass.endpoint.admission import Admission
from hmt_pass.endpoint.app import PATH
from hmt_pass.endpoint.call import Caller
from hmt_pass.endpoint.conventions import Conventions
from hmt_pass.endpoint.download import Downloads
from hmt_pass.endpoint.images import ImageStore
from hmt_pass.endpoint.server import Server
from hmt_pass.errors import SettingsError


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with running() as started:
        yield started


def answered(endpoint: Endpoint, method: str, target: str) -> tuple[int, str]:
    """HTTP status and code of a request without a body."""
    with wire(endpoint.url) as call:
        call.send(f"{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        answer = call.answer()
        return answer.status, answer.code


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "TRACE", "PUT", "DELETE", "PROPFIND", "QUERY", "FOO", "post"])
def test_another_method_than_post_is_1012(endpoint: Endpoint, method: str) -> None:
    assert answered(endpoint, method, PATH) == (200, "1012")


@pytest.mark.parametrize(
    "target", ["*", "//v2/ocr/hmt_pass", PATH + "/", PATH + "%0a", PATH + "%00", "http://a", "ftp://a" + PATH]
)
def test_another_path_is_1012(endpoint: Endpoint, target: str) -> None:
    assert [answered(endpoint, method, target) for method in ("POST", "OPTIONS")] == [(200, "1012")] * 2


def test_a_tunnel_is_1012_and_http_says_so_too(endpoint: Endpoint) -> None:
    assert answered(endpoint, "CONNECT", "a:1") == (404, "1012")


@pytest.mark.parametrize("target", ["http://another:1" + PATH, "HTTPS://a" + PATH + "?hmt_flag=0"])
def test_a_target_with_scheme_and_host_is_its_path(endpoint: Endpoint, target: str) -> None:
    assert answered(endpoint, "POST", target) == (200, "1002")


def test_a_websocket_is_answered_without_a_word_in_the_log(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    with wire(endpoint.url) as call:
        call.send("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        answer = call.answer()
    assert (answer.body, [record for record in caplog.records if record.name == "uvicorn.error"]) == (
        b"ok\n",
        [],
    )


def server(host: str, port: int = 0) -> Server:
    conventions = Conventions()
    caller = Caller(
        Accounts(Account(API_ID, API_SECRET)), Admission(Engine(), 1), ImageStore(), Downloads(), conventions
    )
    return Server(caller, conventions, host, port)


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_the_address_of_a_server_is_a_valid_url(host: str, shown: str) -> None:
    with closing(server(host)) as listening:
        assert listening.url == f"http://{shown}:{urlsplit(listening.url).port}"


def test_a_port_in_use_is_a_setting_that_is_wrong(endpoint: Endpoint) -> None:
    port = urlsplit(endpoint.url).port or 0
    with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1, port {port}: .*in use"):
        server("127.0.0.1", port)


@pytest.mark.parametrize(("host", "port"), [("no-such-host.invalid", 0), ("127.0.0.1", 70_000), ("a" * 70, 0)])
def test_an_address_that_is_none_is_a_setting_that_is_wrong(host: str, port: int) -> None:
    with pytest.raises(SettingsError, match=f"cannot listen on {host}, port {port}: "):
        server(host, port)


def test_a_program_that_cannot_listen_says_so_in_one_line_and_ends_with_2(endpoint: Endpoint) -> None:
    environment = {"HMT_PASS_API_ID": API_ID, "HMT_PASS_API_SECRET": API_SECRET}
    command = [sys.executable, "-m", "hmt_pass.endpoint", "--port", str(urlsplit(endpoint.url).port)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith("endpoint: cannot listen on 127.0.0.1, port ")
