"""What the client puts on the wire, and what it makes of every complete answer, over real HTTP."""

import base64
import json
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from werkzeug.formparser import parse_form_data

from hmt_pass import codes, signing
from hmt_pass.client import MAX_REPLY_BYTES, MAX_REPLY_DEPTH, PATH, Client
from hmt_pass.errors import NotConnectedError, UnreadableReplyError
from hmt_pass.permit import Flag
from hmt_pass.signing import TimestampUnit

API_ID, API_SECRET = "an-account", "a-secret-of-the-account"
FIELDS = {"cardNum": "C00000001", "nameChn": "样本", "sex": "女"}
RECOGNIZED = {"code": "0000", "msg": "调用成功", "charge": 1, "data": FIELDS, "request_id": "TID1"}
PHOTO = b"\xff\xd8\xff\r\n--boundary\r\n\x00" + bytes(range(256))


@dataclass
class Seen:
    """One request as it arrived."""

    path: str
    content_type: str
    body: bytes
    connection: tuple[str, int]

    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode("ascii"), strict_parsing=True).items()}

    def multipart(self) -> tuple[dict[str, str], bytes, str | None]:
        environ = {
            "REQUEST_METHOD": "POST",
            "CONTENT_TYPE": self.content_type,
            "CONTENT_LENGTH": str(len(self.body)),
            "wsgi.input": BytesIO(self.body),
        }
        _, fields, files = parse_form_data(environ)
        with closing(files["file"]) as file:
            return dict(fields), file.read(), file.filename


@dataclass
class Endpoint:
    """A server that answers every request the same, and keeps what it saw."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = json.dumps(RECOGNIZED).encode()
    seen: list[Seen] = field(default_factory=list)

    def client(self, timestamp_unit: TimestampUnit = TimestampUnit.MILLISECONDS) -> Client:
        return Client(API_ID, API_SECRET, self.url, timestamp_unit=timestamp_unit)


@contextmanager
def serving(endpoint: Endpoint, tls: ssl.SSLContext | None = None) -> Iterator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            endpoint.seen.append(Seen(self.path, self.headers["Content-Type"], body, self.client_address))
            self.send_response(endpoint.status)
            for name, value in {**endpoint.headers, "Content-Length": str(len(endpoint.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(endpoint.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    endpoint.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with serving(Endpoint()) as running:
        yield running


def test_an_image_travels_byte_for_byte_as_the_multipart_field_file(endpoint: Endpoint) -> None:
    endpoint.client().recognize(PHOTO, flag=Flag.TAIWAN, sequence_id="职-1")
    fields, file, _ = endpoint.seen[0].multipart()
    assert file == PHOTO
    assert {"api_id", "timestamp", "sign", "hmt_flag", "sequence_id"} == set(fields)
    assert (fields["api_id"], fields["hmt_flag"], fields["sequence_id"]) == (API_ID, "3", "职-1")


@pytest.mark.parametrize(
    ("start", "name"), [(b"\xff\xd8", "image.jpg"), (b"\x89PNG", "image.png"), (b"BM", "image.bmp")]
)
def test_the_file_name_fits_the_content(endpoint: Endpoint, start: bytes, name: str) -> None:
    endpoint.client().recognize(start + bytes(20))
    assert name == endpoint.seen[0].multipart()[2]


@pytest.mark.parametrize(
    "source",
    [
        {"url": "https://bucket.example/样本.jpg?X-Amz-Signature=a/b+c=&d=1"},
        {"image_base64": base64.b64encode(PHOTO).decode()},
        {"image_id": "d973ae315e3240a99a2e3ee902ec7a13"},
    ],
    ids=lambda source: next(iter(source)),
)
def test_every_other_source_travels_urlencoded_in_the_body(endpoint: Endpoint, source: dict[str, str]) -> None:
    endpoint.client().recognize(**source)  # type: ignore[arg-type]  # one keyword of many
    seen = endpoint.seen[0]
    form = seen.form()
    assert seen.content_type == "application/x-www-form-urlencoded"
    assert {"api_id": API_ID, "hmt_flag": "0", **source} == {
        name: value for name, value in form.items() if name not in {"timestamp", "sign"}
    }


def test_nothing_is_in_the_query(endpoint: Endpoint) -> None:
    endpoint.client().recognize(image_id="x")
    assert endpoint.seen[0].path == PATH


def test_the_path_is_appended_to_a_base_with_or_without_a_slash(endpoint: Endpoint) -> None:
    Client(API_ID, API_SECRET, f"{endpoint.url}/gateway/").recognize(image_id="x")
    assert endpoint.seen[0].path == f"/gateway{PATH}"


@pytest.mark.parametrize(("unit", "digits"), [(TimestampUnit.MILLISECONDS, 13), (TimestampUnit.SECONDS, 10)])
def test_the_signature_verifies_and_the_secret_stays_home(endpoint: Endpoint, unit: TimestampUnit, digits: int) -> None:
    endpoint.client(timestamp_unit=unit).recognize(image_id="x")
    form = endpoint.seen[0].form()
    assert signing.verify(API_ID, API_SECRET, form["timestamp"], form["sign"])
    assert digits == len(form["timestamp"])
    assert API_SECRET.encode() not in endpoint.seen[0].body


@pytest.mark.parametrize("source", [{}, {"image": PHOTO, "url": "http://x/"}, {"url": "u", "image_id": "i"}])
def test_anything_but_one_source_is_refused_before_the_call(endpoint: Endpoint, source: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="exactly one of image, url, image_base64 and image_id"):
        endpoint.client().recognize(**source)
    assert endpoint.seen == []


def test_both_shapes_of_data_are_read(endpoint: Endpoint) -> None:
    flat = endpoint.client().recognize(PHOTO)
    endpoint.body = json.dumps({**RECOGNIZED, "data": {"words_result_num": 1, "words_result": FIELDS}}).encode()
    nested = endpoint.client().recognize(PHOTO)
    assert flat.permit == nested.permit
    assert nested.permit is not None
    assert nested.permit.name_chn == "样本"


@pytest.mark.parametrize("code", [*(code.value for code in codes.Code), "4711"])
@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
def test_every_code_is_a_reply_whatever_the_http_status(endpoint: Endpoint, code: str, status: int) -> None:
    endpoint.status = status
    endpoint.body = json.dumps({"code": code, "msg": "m", "charge": 2, "request_id": "TID2"}).encode()
    reply = endpoint.client().recognize(PHOTO)
    assert (code, codes.disposition(code), "TID2") == (reply.code, reply.disposition, reply.request_id)


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (502, b"<html>Bad Gateway</html>", "no JSON object"),
        (200, b"", "0 bytes that are no JSON object"),
        (200, b'["0000"]', "no JSON object"),
        (200, b'{"code": "00', "no JSON object"),
        (200, b"\xff\xfe\xff", "no JSON object"),
        (200, b"[" * 100_000, "no JSON object"),
        (200, b'{"code": "0000", "x": ' + b"[" * MAX_REPLY_DEPTH + b"]" * MAX_REPLY_DEPTH + b"}", "no JSON object"),
        (404, b'{"detail": "not found"}', "no code"),
        (200, b" " * MAX_REPLY_BYTES + b"{}", f"over {MAX_REPLY_BYTES} bytes"),
    ],
    ids=["html", "empty", "array", "cut", "binary", "endless", "deep", "no code", "too long"],
)
def test_an_answer_that_is_not_the_apis_is_unreadable(
    endpoint: Endpoint, status: int, body: bytes, problem: str
) -> None:
    endpoint.status, endpoint.body = status, body
    with pytest.raises(UnreadableReplyError, match=problem) as caught:
        endpoint.client().recognize(PHOTO)
    assert status == caught.value.http_status


def test_a_number_that_json_does_not_know_is_none(endpoint: Endpoint) -> None:
    endpoint.body = b'{"code": "0000", "a": NaN, "b": -Infinity, "c": 1e999, "d": 0.5}'
    raw = endpoint.client().recognize(PHOTO).raw
    assert {"code": "0000", "a": None, "b": None, "c": None, "d": 0.5} == raw


def test_a_redirect_is_not_followed(endpoint: Endpoint) -> None:
    endpoint.status, endpoint.headers, endpoint.body = 302, {"Location": f"{endpoint.url}/elsewhere"}, b"moved"
    with pytest.raises(UnreadableReplyError) as caught:
        endpoint.client().recognize(PHOTO)
    assert (caught.value.http_status, len(endpoint.seen)) == (302, 1)


def test_calls_of_one_thread_share_one_connection_and_another_thread_has_its_own(endpoint: Endpoint) -> None:
    client = endpoint.client()

    def call_twice() -> None:
        client.recognize(PHOTO)
        client.recognize(image_id="x")

    threads = [threading.Thread(target=call_twice) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connections = [seen.connection for seen in endpoint.seen]
    assert [connections.count(connection) for connection in set(connections)] == [2, 2]


def test_a_proxy_of_the_environment_is_taken_at_construction(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", endpoint.url)
    client = Client(API_ID, API_SECRET, "http://endpoint.example")
    monkeypatch.delenv("HTTP_PROXY")
    client.recognize(PHOTO)
    assert endpoint.seen[0].path == f"http://endpoint.example{PATH}"


def test_a_socks_proxy_is_refused_rather_than_used_without_knowing_what_was_sent(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(NotConnectedError):
        endpoint.client().recognize(PHOTO)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    no_password = serialization.NoEncryption()
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
    )
    return path


@pytest.fixture
def secure_endpoint(endpoint: Endpoint, certificate: Path) -> Iterator[Endpoint]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(Endpoint(body=endpoint.body), context) as running:
        yield running


def test_the_ca_bundle_of_the_environment_is_taken_at_construction(
    secure_endpoint: Endpoint, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    client = secure_endpoint.client()
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    photo = PHOTO * 10_000
    assert client.recognize(photo).code == client.recognize(photo).code == "0000"
    assert photo == secure_endpoint.seen[0].multipart()[1]


def test_a_certificate_that_nobody_vouches_for_means_not_connected(secure_endpoint: Endpoint) -> None:
    with pytest.raises(NotConnectedError, match="certificate verify failed"):
        secure_endpoint.client().recognize(PHOTO)
    assert secure_endpoint.seen == []


def test_a_ca_bundle_that_does_not_exist_means_not_connected(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    client = Client(API_ID, API_SECRET, endpoint.url.replace("http", "https"))
    with pytest.raises(NotConnectedError, match="CA certificate bundle"):
        client.recognize(PHOTO)


@pytest.mark.parametrize(("ahead_s", "low_s", "high_s"), [(0, -5, 5), (600, 595, 605), (-600, -605, -595)])
def test_the_endpoints_clock_is_compared_with_ours(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, ahead_s: int, low_s: float, high_s: float
) -> None:
    told = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), usegmt=True)
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: told)
    skew_s = endpoint.client().recognize(PHOTO).clock_skew_s
    assert skew_s is not None
    assert low_s <= skew_s <= high_s


@pytest.mark.parametrize("told", ["", "yesterday", "Thu, 26 Nov 2026 12:00:00"])
def test_a_date_that_cannot_be_read_tells_nothing(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: told)
    assert endpoint.client().recognize(PHOTO).clock_skew_s is None
