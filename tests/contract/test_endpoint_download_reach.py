"""How far a caller reaches by naming an address: not inside, and nothing is given away."""

import datetime as dt
import ipaddress
import logging
import socket
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from endpoints import Answer, gives, website
from sites import FAILED, LATE, PICTURE, PRIVATE, PUBLIC, Inside, Serve, fetched, headers, redirects


@pytest.fixture
def inside() -> Iterator[Inside]:
    with website(PRIVATE) as serve:
        yield Inside(serve)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """The addresses of a name, one list for each lookup; the last one stays."""
    known: dict[str, list[list[str]]] = {}

    def look_up(host: str, port: int, *_: object) -> list[tuple[object, ...]]:
        answers = known[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


def test_a_private_address_is_not_spoken_to(inside: Inside) -> None:
    assert [FAILED] == fetched(inside.url)
    assert inside.asked == []


def test_a_private_address_is_spoken_to_where_that_is_allowed(inside: Inside) -> None:
    assert [PICTURE] == fetched(inside.url, private_addresses=True)


def test_a_redirect_to_a_private_address_is_not_followed(internet: Serve, inside: Inside) -> None:
    assert [FAILED] == fetched(internet(redirects("/photo", inside.url)))
    assert inside.asked == []


def test_a_name_in_chinese_is_looked_up_in_its_ascii_form(internet: Serve, names: dict[str, list[list[str]]]) -> None:
    names["xn--fsqu00a.test"] = [[PUBLIC]]
    assert [PICTURE] == fetched(internet(gives(PICTURE)).replace(PUBLIC, "例子.test"))


def test_a_name_of_a_private_address_is_not_spoken_to(inside: Inside, names: dict[str, list[list[str]]]) -> None:
    names |= {"inside.test": [[PRIVATE]], "inside.test.": [[PRIVATE]]}
    asked = f":{inside.port}/photo"
    assert [FAILED] * 3 == fetched(
        f"http://inside.test{asked}", f"http://INSIDE.test{asked}", f"http://inside.test.{asked}"
    )
    assert inside.asked == []


def test_of_a_name_with_several_addresses_only_the_public_ones_are_spoken_to(
    internet: Serve, inside: Inside, names: dict[str, list[list[str]]]
) -> None:
    names["both.test"] = [[PRIVATE, PUBLIC]]
    urls = internet(gives(b"from the internet")), inside.url
    answers = fetched(urls[0].replace(PUBLIC, "both.test"), urls[1].replace(PRIVATE, "both.test"))
    assert [b"from the internet", FAILED] == answers
    assert inside.asked == []


def test_a_name_that_changes_its_address_is_looked_up_once(
    internet: Serve, inside: Inside, names: dict[str, list[list[str]]]
) -> None:
    names["rebinding.test"] = [[PUBLIC], [PRIVATE]]
    assert [PICTURE] == fetched(internet(gives(PICTURE)).replace(PUBLIC, "rebinding.test"))
    assert [[PRIVATE]] == names["rebinding.test"]
    assert [FAILED] == fetched(inside.url.replace(PRIVATE, "rebinding.test"))
    assert inside.asked == []


@pytest.mark.parametrize(
    "host", ["127.2", "127.0.2", "0177.0.0.2", "0x7f.0.0.2", "0x7f000002", "2130706434", "127.0.0.02", "１２７.0.0.2"]
)
def test_other_ways_to_write_a_private_address_lead_nowhere(inside: Inside, host: str) -> None:
    assert [FAILED] == fetched(f"http://{host}:{inside.port}/")
    assert inside.asked == []


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost.",
        "LOCALHOST",
        "ｌocalhost",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[fe80::1%25lo]",
    ],
)
def test_this_machine_is_not_spoken_to_by_any_name(host: str) -> None:
    with website("0.0.0.0") as serve:
        site = Inside(serve)
        assert [FAILED] == fetched(f"http://{host}:{site.port}/")
    assert site.asked == []


def test_a_private_address_answers_the_same_whether_somebody_listens_or_not(inside: Inside) -> None:
    with socket.create_server((PRIVATE, 0)) as unused:
        closed_port = unused.getsockname()[1]
    assert [FAILED, FAILED] == fetched(inside.url, f"http://{PRIVATE}:{closed_port}/photo")


def test_proxies_of_the_environment_are_not_used(
    internet: Serve, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, inside.url)
    assert [PICTURE] == fetched(internet(gives(PICTURE)))
    assert inside.asked == []


def test_no_credentials_are_taken_from_an_address(internet: Serve) -> None:
    asked: list[str] = []
    url = internet(lambda request: asked.append(request.path))
    with_credentials = url.replace("//", "//name:secret@")
    assert [FAILED, FAILED] == fetched(with_credentials, internet(redirects(with_credentials)))
    assert asked == []


def test_no_cookie_is_kept(internet: Serve, names: dict[str, list[list[str]]]) -> None:
    names["cookies.test"] = [[PUBLIC]]  # a jar takes none from a bare address

    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path == "/photo":
            headers(302, Location="/next", Set_Cookie="name=value; Path=/")(request)
        else:
            gives(str(request.headers["Cookie"]).encode())(request)

    assert [b"None"] == fetched(internet(answer).replace(PUBLIC, "cookies.test"))


def test_a_site_is_told_neither_versions_nor_where_the_caller_comes_from(internet: Serve) -> None:
    url = internet(lambda request: gives(" ".join(sorted(request.headers)).encode())(request))
    assert [b"Accept Accept-Encoding Connection Host User-Agent"] == fetched(url)
    assert [b"hmt-pass-endpoint identity"] == fetched(
        internet(
            lambda request: gives(f"{request.headers['User-Agent']} {request.headers['Accept-Encoding']}".encode())(
                request
            )
        )
    )


@pytest.mark.parametrize(
    "answer", [gives(PICTURE), headers(404), headers(200, Set_Cookie="na me=secret"), headers(302, Location="//")]
)
def test_no_log_holds_an_address(internet: Serve, answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        fetched(internet(answer) + "?token=secret", "http://secret.test/?token=secret")
    assert [] == [
        record for record in caplog.records if "secret" in record.getMessage() or PUBLIC in record.getMessage()
    ]


def certificate(folder: Path, address: str = PUBLIC) -> tuple[Path, ssl.SSLContext]:
    """A certificate that signs itself, good for `address`: its file, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a site")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(signed.public_bytes(pem) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return file, context


@pytest.mark.usefixtures("internet")
def test_a_certificate_that_nobody_vouches_for_is_1006(tmp_path: Path) -> None:
    with website(PUBLIC, certificate(tmp_path)[1]) as serve:
        assert [FAILED] == fetched(serve(gives(PICTURE)))


@pytest.mark.usefixtures("internet")
@pytest.mark.parametrize(("address", "answer"), [(PUBLIC, PICTURE), (PRIVATE, FAILED)])
def test_a_trusted_certificate_is_good_for_its_own_address_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, answer: object
) -> None:
    file, context = certificate(tmp_path, address)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with website(PUBLIC, context) as serve:
        assert [answer] == fetched(serve(gives(PICTURE)))


@pytest.mark.usefixtures("short_limit", "internet")
def test_a_site_that_never_shakes_hands_is_1005() -> None:
    with socket.create_server((PUBLIC, 0)) as silent:
        assert [LATE] == fetched(f"https://{PUBLIC}:{silent.getsockname()[1]}/")
