"""Parameters out of query strings, urlencoded and multipart bodies."""

from collections.abc import Mapping

import pytest

from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.parameters import Parameters, parse
from hmt_pass.permit import Flag

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


def multipart(parts: Mapping[str, bytes], file: bytes | None = None) -> bytes:
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value)
        for name, value in parts.items()
    )
    if file is not None:
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        body += head + file + b"\r\n"
    return body + b"--b--\r\n"


def refusal(query: bytes, content_type: str, body: bytes) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        parse(query, content_type, body)
    return caught.value


def test_a_query_string_brings_parameters() -> None:
    assert "https://a/b?c=张" == parse(b"url=https%3A%2F%2Fa%2Fb%3Fc%3D%E5%BC%A0", "", b"").get("url")


def test_an_urlencoded_body_wins_over_the_query_string() -> None:
    assert "body" == parse(b"api_id=query", URLENCODED, b"api_id=body").get("api_id")


def test_a_multipart_body_brings_texts_and_the_file() -> None:
    image = b"\xff\xd8\x00\r\n\r\n--"
    sent = parse(b"", MULTIPART, multipart({"api_id": "张".encode()}, image))
    assert ("张", image) == (sent.get("api_id"), sent.file)


def test_a_file_larger_than_a_megabyte_comes_through_whole() -> None:
    image = bytes(range(256)) * 10_000
    assert image == parse(b"", MULTIPART, multipart({}, image)).file


def test_a_file_without_a_file_name_is_still_the_file() -> None:
    assert b"\xff\xd8" == parse(b"", MULTIPART, multipart({"file": b"\xff\xd8"})).file


def test_an_empty_file_is_a_file() -> None:
    assert "file" == parse(b"", MULTIPART, multipart({}, b"")).source


@pytest.mark.parametrize(
    ("query", "content_type", "body"),
    [
        (b"api_id=%FF", "", b""),
        (b"", URLENCODED, b"api_id=%FF"),
        (b"", URLENCODED, b"\xff"),
        (b"", MULTIPART, multipart({"api_id": b"\xff"})),
    ],
)
def test_a_text_that_is_not_utf8_is_1001(query: bytes, content_type: str, body: bytes) -> None:
    assert Code.NOT_UTF8 is refusal(query, content_type, body).code


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b""),
        (MULTIPART, b"no boundary in here"),
        ("application/json", b"{}"),
        (URLENCODED, b"&".join(b"a%d=1" % number for number in range(65))),
    ],
)
def test_a_body_that_cannot_be_parsed_is_1002_with_a_reason(content_type: str, body: bytes) -> None:
    caught = refusal(b"", content_type, body)
    assert (Code.BAD_REQUEST, True) == (caught.code, bool(caught.reason))


def test_a_missing_parameter_is_1002_and_named() -> None:
    with pytest.raises(RefusedError) as caught:
        Parameters({"sign": ""}).require("sign")
    assert (Code.BAD_REQUEST, "sign is missing") == (caught.value.code, caught.value.reason)


@pytest.mark.parametrize(
    ("texts", "file", "expected"),
    [
        ({"image_id": "i", "image_base64": "b", "url": "u"}, b"f", "image_id"),
        ({"image_base64": "b", "url": "u"}, b"f", "file"),
        ({"image_base64": "b", "url": "u"}, None, "image_base64"),
        ({"image_base64": "", "url": "u"}, None, "url"),
        ({}, None, ""),
    ],
)
def test_the_image_comes_from_the_first_source_in_the_text_s_order(
    texts: dict[str, str], file: bytes | None, expected: str
) -> None:
    assert expected == Parameters(texts, file).source


def test_a_call_without_an_image_is_1002() -> None:
    with pytest.raises(RefusedError) as caught:
        Parameters({}).require_source()
    assert Code.BAD_REQUEST is caught.value.code


def test_the_flag_is_0_when_it_is_not_sent() -> None:
    assert Flag.HK_AND_MACAU is Parameters({}).flag


@pytest.mark.parametrize("text", ["4", "-1", "1.0", "x", "01"])
def test_a_flag_that_the_text_does_not_know_is_1002(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        _ = Parameters({"hmt_flag": text}).flag
    assert Code.BAD_REQUEST is caught.value.code


def test_no_parameter_shows_in_a_repr() -> None:
    assert "secret" not in repr(Parameters({"sign": "secret"}, b"secret"))
