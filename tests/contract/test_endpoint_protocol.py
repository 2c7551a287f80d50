"""The endpoint's protocol over real HTTP, with an engine that only counts."""

import base64
import contextlib
import io
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from PIL import Image

from hmt_pass import codes, signing
from hmt_pass.codes import Code
from hmt_pass.endpoint import call
from hmt_pass.endpoint.accounts import Account
from hmt_pass.endpoint.app import PATH
from hmt_pass.endpoint.call import Caller
from hmt_pass.endpoint.download import download
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reading import Reading
from hmt_pass.endpoint.faults import Faults
from hmt_pass.endpoint.images import ImageStore
from hmt_pass.endpoint.parameters import MAX_BODY_BYTES
from hmt_pass.endpoint.server import Server
from hmt_pass.permit import Permit

API_ID, API_SECRET = "an-account", "a-secret-of-the-account"
PERMIT = Permit("C00000001", "样本", "YANGBEN", "19900201", "女", "20190118-20290117", "山东")


def photo(width_px: int = 64) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width_px, 48), "white").save(out, "JPEG")
    return out.getvalue()


class Engine:
    """Finds what it is told to find, after as long as it is told to take."""

    def __init__(self) -> None:
        self.found: Reading | Exception | None = Reading(Kind.HK_MACAU, PERMIT)
        self.seen: list[bytes] = []

    def read(self, picture: bytes) -> Reading | None:
        self.seen.append(picture)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Endpoint:
    """A running endpoint and how to call it."""

    def __init__(self, url: str, engine: Engine, faults: Faults) -> None:
        self.url, self.engine, self.faults = url, engine, faults

    def post(
        self,
        *,
        path: str = PATH,
        files: dict[str, tuple[str, bytes]] | None = None,
        query: bool = False,
        **changes: str,
    ) -> dict[str, Any]:
        timestamp = signing.timestamp()
        parameters = {
            "api_id": API_ID,
            "sequence_id": "sequence-1",
            "timestamp": timestamp,
            "sign": signing.sign(API_ID, API_SECRET, timestamp),
        } | changes
        where = {"params": parameters} if query else {"data": parameters}
        response = requests.post(self.url + path, files=files, timeout=20, **where)
        assert response.status_code == 200
        body: dict[str, Any] = response.json()
        return body

    def send(self, image: bytes | None = None, **changes: str) -> dict[str, Any]:
        return self.post(files={"file": ("a.jpg", photo() if image is None else image)}, **changes)


@contextmanager
def running(*, faults: bool) -> Iterator[Endpoint]:
    engine, switch = Engine(), Faults()
    caller = Caller(Account(API_ID, API_SECRET), engine, ImageStore())
    server = Server(caller, "127.0.0.1", 0, switch if faults else None)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Endpoint(server.url, engine, switch)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def served() -> Iterator[Endpoint]:
    with running(faults=True) as started:
        yield started


@pytest.fixture
def endpoint(served: Endpoint) -> Endpoint:
    """The running endpoint without faults, with counters at zero and an engine that has seen nothing."""
    requests.delete(served.url + "/_faults", timeout=5)
    served.engine.found, served.engine.seen = Reading(Kind.HK_MACAU, PERMIT), []
    served.faults.calls = served.faults.charged = 0
    return served


@pytest.fixture
def web() -> Iterator[Callable[[Callable[[BaseHTTPRequestHandler], None]], str]]:
    """Starts a web server that answers GET as it is told; its address."""
    servers: list[ThreadingHTTPServer] = []

    def serve(answer: Callable[[BaseHTTPRequestHandler], None]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/photo"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def gives(body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.write(body)

    return answer


def said(body: dict[str, Any]) -> tuple[str, str, int, str]:
    return body["code"], body["msg"], body["charge"], body.get("image", "")


def refusal(code: Code, image: str = "") -> tuple[str, str, int, str]:
    return code.value, code.message, 2, image


def test_a_permit_is_answered_as_in_the_text_s_example(endpoint: Endpoint) -> None:
    body = endpoint.send()
    image_id = body["data"].pop("image_id")
    assert (body["code"], body["msg"], body["charge"], body["data"]) == ("0000", "调用成功", 1, PERMIT.to_wire())
    assert (len(bytes.fromhex(image_id)), body["request_id"][:3]) == (16, "TID")


def test_an_image_comes_by_every_source(endpoint: Endpoint, web: Callable[..., str]) -> None:
    image = photo()
    image_id = endpoint.send(image)["data"]["image_id"]
    sent = [
        endpoint.post(image_base64=base64.b64encode(image).decode()),
        endpoint.post(url=web(gives(image))),
        endpoint.post(image_id=image_id),
    ]
    assert [body["code"] for body in sent] == ["0000"] * 3
    assert endpoint.engine.seen == [image] * 4


def test_an_image_keeps_its_id(endpoint: Endpoint) -> None:
    image_id = endpoint.send()["data"]["image_id"]
    assert endpoint.post(image_id=image_id)["data"]["image_id"] == image_id


def test_the_first_source_in_the_text_s_order_is_taken(endpoint: Endpoint) -> None:
    other = base64.b64encode(photo(80)).decode()
    endpoint.send(photo(96), image_base64=other, url="http://127.0.0.1:1/")
    endpoint.post(image_base64=other, url="http://127.0.0.1:1/")
    assert endpoint.engine.seen == [photo(96), photo(80)]
    assert said(endpoint.send(image_id="0" * 32)) == refusal(Code.IMAGE_MISSING, "image_id")


def test_parameters_come_in_the_query_string_too(endpoint: Endpoint) -> None:
    encoded = base64.b64encode(photo()).decode()
    assert endpoint.post(query=True, image_base64=encoded)["code"] == "0000"


def test_seconds_are_a_timestamp_too(endpoint: Endpoint) -> None:
    timestamp = signing.timestamp(signing.TimestampUnit.SECONDS)
    sign = signing.sign(API_ID, API_SECRET, timestamp)
    assert endpoint.send(timestamp=timestamp, sign=sign)["code"] == "0000"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"api_id": ""}, Code.BAD_REQUEST),
        ({"hmt_flag": "9"}, Code.BAD_REQUEST),
        ({"api_id": "another"}, Code.BAD_ACCOUNT),
        ({"sign": "0" * 64}, Code.BAD_SIGNATURE),
    ],
)
def test_a_call_that_may_not_be_made_is_refused(endpoint: Endpoint, changes: dict[str, str], code: Code) -> None:
    body = endpoint.send(**changes)
    assert (said(body), "reason" in body) == (refusal(code), code is Code.BAD_REQUEST)


def test_a_call_without_an_image_is_1002_with_a_reason(endpoint: Endpoint) -> None:
    assert "image_base64" in endpoint.post()["reason"]


def test_a_body_that_cannot_be_read_is_1002(endpoint: Endpoint) -> None:
    response = requests.post(endpoint.url + PATH, json={}, timeout=5)
    assert response.json()["code"] == "1002"


@pytest.mark.parametrize("path", ["/", "/v2/ocr/hmt_passport", PATH + "/"])
def test_another_path_is_1012(endpoint: Endpoint, path: str) -> None:
    assert said(endpoint.post(path=path)) == refusal(Code.BAD_PATH)


def test_another_method_is_1012(endpoint: Endpoint) -> None:
    assert requests.get(endpoint.url + PATH, timeout=5).json()["code"] == "1012"


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (b"", Code.NOT_AN_IMAGE),
        (b"hello", Code.NOT_AN_IMAGE),
        (photo(8), Code.BAD_IMAGE_SIZE_OR_FORMAT),
        (photo() + bytes(5 * 1024 * 1024), Code.IMAGE_TOO_LARGE),
    ],
)
def test_an_image_beyond_the_limits_is_refused_and_named(endpoint: Endpoint, image: bytes, code: Code) -> None:
    assert said(endpoint.send(image)) == refusal(code, "file")


def test_what_is_no_base64_is_no_image(endpoint: Endpoint) -> None:
    assert said(endpoint.post(image_base64="*")) == refusal(Code.NOT_AN_IMAGE, "image_base64")


def test_a_body_beyond_any_call_is_1013_before_it_is_kept(endpoint: Endpoint) -> None:
    with closing(socket.create_connection(endpoint.url.removeprefix("http://").split(":"))) as connection:
        head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {10 * MAX_BODY_BYTES}\r\n\r\n"
        connection.sendall(head.encode() + bytes(MAX_BODY_BYTES + 1))
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(65536)
    assert b'"code":"1013"' in answer


@pytest.mark.parametrize(
    ("kind", "flag", "code"),
    [
        (Kind.HK_MACAU, "0", "0000"),
        (Kind.HK_MACAU, "1", "0000"),
        (Kind.HK_MACAU, "2", "0000"),
        (Kind.HK_MACAU, "3", "1016"),
        (Kind.TAIWAN, "0", "1016"),
        (Kind.TAIWAN, "3", "0000"),
    ],
)
def test_the_flag_decides_which_permit_is_looked_for(endpoint: Endpoint, kind: Kind, flag: str, code: str) -> None:
    endpoint.engine.found = Reading(kind, PERMIT)
    assert endpoint.send(hmt_flag=flag)["code"] == code


def test_a_picture_without_a_permit_is_1016_and_costs_nothing(endpoint: Endpoint) -> None:
    endpoint.engine.found = None
    assert said(endpoint.send()) == refusal(Code.BAD_IMAGE_SIZE_OR_FORMAT, "file")


def test_a_bug_of_the_engine_is_9999_and_its_log_line_holds_no_data(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.engine.found = ValueError("陈露露 C00000001")
    with caplog.at_level(logging.INFO):
        body = endpoint.send()
    assert said(body) == refusal(Code.SERVER_ERROR)
    assert ("ValueError at read" in caplog.text, "C00000001" in caplog.text) == (True, False)


def test_a_log_line_has_the_ids_and_the_code_and_nothing_of_the_permit(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "hmt_pass"), caplog.at_level(logging.INFO, "uvicorn"):
        request_id = endpoint.send(sequence_id="a\nforged line")["request_id"]
    assert f"call request_id={request_id} sequence_id=a?forged?line code=0000 ms=" in caplog.text
    assert [secret for secret in (*PERMIT.to_wire().values(), "sign=", API_SECRET) if secret in caplog.text] == []


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: request.send_error(404),
        lambda request: request.connection.close(),
    ],
)
def test_an_address_that_gives_no_image_is_1006(
    endpoint: Endpoint, web: Callable[..., str], answer: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    assert said(endpoint.post(url=web(answer))) == refusal(Code.DOWNLOAD_FAILED)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "file:///etc/passwd", "not an address", "http://127.0.0.1:1/"])
def test_an_address_that_cannot_be_fetched_is_1006(endpoint: Endpoint, url: str) -> None:
    assert said(endpoint.post(url=url)) == refusal(Code.DOWNLOAD_FAILED)


def test_a_picture_at_an_address_may_not_be_too_large(endpoint: Endpoint, web: Callable[..., str]) -> None:
    url = web(gives(bytes(6 * 1024 * 1024)))
    assert said(endpoint.post(url=url)) == refusal(Code.IMAGE_TOO_LARGE, "url")


def drip(request: BaseHTTPRequestHandler) -> None:
    gives(b"")(request)
    with contextlib.suppress(OSError):  # the caller has gone
        for _ in range(40):
            request.wfile.write(b"a")
            time.sleep(0.05)


def test_a_download_that_drips_is_1005_when_its_time_is_over(web: Callable[..., str]) -> None:
    begun_s = time.monotonic()
    with pytest.raises(call.RefusedError) as caught:
        download(web(drip), time_limit_s=0.2)
    assert (caught.value.code, time.monotonic() - begun_s < 1) == (Code.DOWNLOAD_TIMEOUT, True)


def test_a_server_that_never_answers_is_1005(
    endpoint: Endpoint, web: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "TIME_LIMIT_S", 0.2)
    assert said(endpoint.post(url=web(lambda _: time.sleep(1)))) == refusal(Code.DOWNLOAD_TIMEOUT)


def test_the_endpoint_is_healthy(endpoint: Endpoint) -> None:
    assert requests.get(endpoint.url + "/healthz", timeout=5).status_code == 200


def fault(endpoint: Endpoint, **wanted: object) -> requests.Response:
    return requests.post(endpoint.url + "/_faults", json=wanted, timeout=5)


def counters(endpoint: Endpoint) -> tuple[int, int]:
    shown = requests.get(endpoint.url + "/_faults", timeout=5).json()
    return shown["calls"], shown["charged"]


@pytest.mark.parametrize("code", [code for code in codes.Code if code is not Code.OK])
def test_every_code_can_be_forced(endpoint: Endpoint, code: Code) -> None:
    fault(endpoint, code=code.value, count=1)
    forced, after = endpoint.send(), endpoint.send()
    assert (forced["code"], forced["msg"], forced["charge"], after["code"]) == (code.value, code.message, 2, "0000")


def test_only_recognized_calls_are_counted_as_charged(endpoint: Endpoint) -> None:
    endpoint.send()
    endpoint.send(sign="0" * 64)
    fault(endpoint, code="9999", count=1)
    endpoint.send()
    assert counters(endpoint) == (3, 1)


@pytest.mark.parametrize(("when", "charged"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_is_charged_only_after_the_answer(endpoint: Endpoint, when: str, charged: int) -> None:
    fault(endpoint, drop=when, count=1)
    with pytest.raises(requests.ConnectionError):
        endpoint.send()
    assert (counters(endpoint), endpoint.send()["code"]) == ((1, charged), "0000")


def test_latency_makes_an_answer_late_until_it_is_cleared(endpoint: Endpoint) -> None:
    fault(endpoint, latency_s=0.3)
    begun_s = time.monotonic()
    endpoint.send()
    late_s = time.monotonic() - begun_s
    assert (requests.delete(endpoint.url + "/_faults", timeout=5).json()["faults"], late_s >= 0.3) == ({}, True)


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"code": "0000"}'])
def test_what_is_no_fault_is_http_400(endpoint: Endpoint, body: bytes) -> None:
    assert requests.post(endpoint.url + "/_faults", data=body, timeout=5).status_code == 400


def test_there_is_no_fault_switch_unless_it_was_asked_for() -> None:
    with running(faults=False) as plain:
        assert fault(plain, code="9980").json()["code"] == "1012"


def test_a_caller_that_hangs_up_in_mid_upload_is_charged_nothing(endpoint: Endpoint) -> None:
    with closing(socket.create_connection(endpoint.url.removeprefix("http://").split(":"))) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf".encode())
    deadline_s = time.monotonic() + 5
    while counters(endpoint) != (1, 0) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert (counters(endpoint), endpoint.send()["code"]) == ((1, 0), "0000")
