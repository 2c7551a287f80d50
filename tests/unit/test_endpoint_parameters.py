"""Parameters out of query strings, urlencoded and multipart bodies."""

import time
from collections.abc import Mapping

import pytest

from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.encodings.multipart import parts
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


def test_query_string_and_body_bring_parameters_together() -> None:
    sent = parse(b"api_id=a", URLENCODED, b"sign=s&url=u+v%2B")
    assert ("a", "s", "u v+") == (sent.get("api_id"), sent.get("sign"), sent.get("url"))


def test_a_percent_sign_that_begins_no_escape_stands_for_itself() -> None:
    assert "100%=%4" == parse(b"sequence_id=100%=%254", "", b"").get("sequence_id")


@pytest.mark.parametrize("offset", range(4))
def test_an_escape_on_a_piece_s_edge_stays_whole(offset: int) -> None:
    text = "a" * offset + "/" * 60_000
    sent = parse(b"", URLENCODED, b"image_base64=" + text.replace("/", "%2F").encode())
    assert text == sent.get("image_base64")


@pytest.mark.parametrize(
    ("query", "content_type", "body"),
    [
        (b"api_id=a&api_id=b", "", b""),
        (b"api_id=a", URLENCODED, b"api_id=b"),
        (b"", MULTIPART, multipart({"api_id": b"a"})[:-7] + multipart({"api_id": b"b"})),
    ],
)
def test_two_values_of_one_parameter_are_1002_and_named(query: bytes, content_type: str, body: bytes) -> None:
    caught = refusal(query, content_type, body)
    assert (Code.BAD_REQUEST, "api_id was sent twice with different values") == (caught.code, caught.reason)


def test_two_files_are_1002() -> None:
    two = multipart({}, b"one")[:-7] + multipart({}, b"two")
    assert "file was sent twice with different values" == refusal(b"", MULTIPART, two).reason


def test_the_same_value_twice_is_no_contradiction() -> None:
    sent = parse(b"api_id=a", MULTIPART, multipart({"api_id": b"a"}, b"one")[:-7] + multipart({}, b"one"))
    assert ("a", b"one") == (sent.get("api_id"), sent.file)


def test_an_empty_parameter_was_not_sent() -> None:
    sent = parse(b"api_id=&hmt_flag=&sign", URLENCODED, b"api_id=a")
    assert ({"api_id": "a"}, Flag.HK_AND_MACAU) == (sent.texts, sent.flag)


def test_what_bears_another_name_is_ignored() -> None:
    sent = parse(b"API_ID=a&data=%FF", MULTIPART, multipart({"photo": b"\xff\xd8"}))
    assert ({}, None) == (sent.texts, sent.file)


@pytest.mark.parametrize(("name", "length"), [("api_id", 1024), ("url", 8192)])
def test_a_text_that_is_too_long_is_1002_and_named(name: str, length: int) -> None:
    allowed = parse(b"", URLENCODED, f"{name}={'a' * length}".encode())
    caught = refusal(b"", URLENCODED, f"{name}={'a' * (length + 1)}".encode())
    assert (length, f"{name} is longer than {length} bytes") == (len(allowed.get(name)), caught.reason)


def test_a_multipart_body_brings_texts_and_the_file() -> None:
    image = b"\xff\xd8\x00\r\n\r\n--"
    sent = parse(b"", MULTIPART, multipart({"api_id": "张".encode()}, image))
    assert ("张", image) == (sent.get("api_id"), sent.file)


def test_a_file_larger_than_a_megabyte_comes_through_whole() -> None:
    image = bytes(range(256)) * 10_000
    assert image == parse(b"", MULTIPART, multipart({}, image)).file


def test_a_file_without_a_file_name_is_still_the_file() -> None:
    assert b"\xff\xd8" == parse(b"", MULTIPART, multipart({"file": b"\xff\xd8"})).file


def test_an_empty_file_is_the_source_only_when_it_is_alone() -> None:
    empty = multipart({}, b"")
    sources = (parse(b"", MULTIPART, empty).source, parse(b"url=u", MULTIPART, empty).source)
    assert ("file", "url") == sources


def part(header: bytes, content: bytes = b"x") -> bytes:
    return b"--b\r\n%b\r\n\r\n%b\r\n--b--\r\n" % (header, content)


@pytest.mark.parametrize(
    "options",
    [
        'name="file"; filename="身份证.jpg"'.encode("gbk"),
        'filename="許"; name="file"'.encode("gbk"),  # its second byte is a backslash
        b'name=file; filename="a;name=url;.jpg"',
        b"NAME=\"file\"; filename*=UTF-8''%E5%BC%A0.jpg",
        b'name="file"; filename="\xff\xfe"',
        b'name = "file"; filename=""',
    ],
)
def test_a_file_name_may_be_anything(options: bytes) -> None:
    assert b"x" == parse(b"", MULTIPART, part(b"Content-Disposition: form-data; " + options)).file


def test_a_quote_that_is_not_closed_runs_to_the_end_of_its_header() -> None:
    assert "x" == parse(b"", MULTIPART, part(b'Content-Disposition: form-data; name="api_id')).get("api_id")


def options_s(text: str, count: int) -> float:
    """The work, in seconds of this thread, of looking for a boundary among that many options; the least of a few."""
    took_s = []
    for _ in range(5):
        begun_s = time.thread_time()
        with pytest.raises(RefusedError):
            parts("multipart/form-data; x" + text * count, b"", 1)
        took_s.append(time.thread_time() - begun_s)
    return min(took_s)


@pytest.mark.parametrize("text", [';a="x', ';a="x" ', ';a="" "', ";a", "; ", ' "', ";a= "])
def test_the_work_of_a_header_grows_with_its_length_and_not_with_its_square(text: str) -> None:
    assert options_s(text, 4000) < 32 * options_s(text, 500)  # 8 times as long; its square is 64


def test_a_content_type_of_more_than_a_kilobyte_is_1002() -> None:
    allowed = MULTIPART.ljust(1024)
    assert "a" == parse(b"", allowed, multipart({"api_id": b"a"})).get("api_id")
    caught = refusal(b"", f"{allowed} ", multipart({"api_id": b"a"}))
    assert (Code.BAD_REQUEST, "Content-Type is longer than 1024 bytes") == (caught.code, caught.reason)


@pytest.mark.parametrize(
    ("encoding", "content", "expected"),
    [
        (b"BASE64 ", b"/9j/\r\n/9j/", b"\xff\xd8\xff\xff\xd8\xff"),
        (b"quoted-printable", b"=FF=D8", b"\xff\xd8"),
        (b"binary", b"=FF", b"=FF"),
        (b"8bit", b"=FF", b"=FF"),
    ],
)
def test_a_part_s_transfer_encoding_is_undone(encoding: bytes, content: bytes, expected: bytes) -> None:
    head = b'Content-Disposition: form-data; name="file"\r\nContent-Transfer-Encoding: ' + encoding
    assert expected == parse(b"", MULTIPART, part(head, content)).file


def test_a_quoted_boundary_and_other_options_are_read() -> None:
    content_type = 'Multipart/Form-Data; charset=utf-8; Boundary="b"'
    assert "a" == parse(b"", content_type, multipart({"api_id": b"a"})).get("api_id")


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data"])
def test_an_empty_body_needs_no_fitting_content_type(content_type: str) -> None:
    assert "a" == parse(b"api_id=a", content_type, b"").get("api_id")


@pytest.mark.parametrize(
    ("query", "content_type", "body"),
    [
        (b"api_id=%FF", "", b""),
        (b"", URLENCODED, b"api_id=%FF"),
        (b"", URLENCODED, b"\xff"),
        (b"", MULTIPART, multipart({"api_id": b"\xff"})),
        (b"", f"{MULTIPART}; charset=gbk", multipart({"api_id": "张".encode("gbk")})),
        (b"", f"{URLENCODED}; charset=gbk", b"api_id=%D5%C5"),
        (b"", MULTIPART, part('Content-Disposition: form-data; name="张"'.encode("gbk"))),
        (b"%D5%C5=1", "", b""),
        (b"api_id=%C0%AF", "", b""),  # an overlong slash
        (b"api_id=%ED%A0%80", "", b""),  # half of a surrogate pair
    ],
)
def test_a_text_that_is_not_utf8_is_1001(query: bytes, content_type: str, body: bytes) -> None:
    assert Code.NOT_UTF8 is refusal(query, content_type, body).code


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", multipart({})),
        ("multipart/form-data; boundary=", multipart({})),
        (f"multipart/form-data; boundary={'b' * 257}", multipart({})),
        (MULTIPART, b"no boundary in here"),
        (MULTIPART, multipart({"api_id": b"a"})[:-4]),
        (MULTIPART, multipart({"api_id": b"a"}).replace(b"\r\n", b"\n")),
        (MULTIPART, part(b"Content-Type: text/plain")),
        (MULTIPART, part(b"Content-Disposition: form-data")),
        (MULTIPART, part(b'Content-Disposition: form-data; name="a"; filename="' + b"a" * 5000 + b'"')),
        (MULTIPART, part(b'Content-Disposition: form-data; name="a"\r\n' + b"\r\n".join([b"a: b"] * 9))),
        (MULTIPART, part(b'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: gzip')),
        (MULTIPART, part(b'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64')),
        (MULTIPART, multipart({f"a{number}": b"1" for number in range(65)})),
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


@pytest.mark.parametrize("text", ["4", "-1", "1.0", "x", "01", " 1", "+1", "1 ", "１", "true"])
def test_a_flag_that_the_text_does_not_know_is_1002(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        _ = Parameters({"hmt_flag": text}).flag
    assert Code.BAD_REQUEST is caught.value.code


def test_no_parameter_shows_in_a_repr() -> None:
    assert "secret" not in repr(Parameters({"sign": "secret"}, b"secret"))
