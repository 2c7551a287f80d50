"""Whatever bytes come, the parameters are read or refused: nothing else happens."""

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.encodings.base64_image import decode
from hmt_pass.endpoint.encodings.urlencoded import pairs
from hmt_pass.endpoint.parameters import MAX_TEXT_BYTES, MULTIPART, URLENCODED, parse

SEEDED = settings(derandomize=True, database=None, deadline=None, max_examples=200)

TOKENS = [
    *(b"--b", b"--b--", b"\r\n", b"\n", b"\r", b"--", b"-", b"b"),
    *(b":", b";", b"=", b'"', b"\\", b" ", b"\t", b"\0", b"&", b"%", b"+"),
    *(b"Content-Disposition", b"Content-Disposition: form-data", b'; name="file"', b"; name=api_id"),
    *(b'; filename="a.jpg"', b"; filename*=UTF-8''a", b"Content-Type: text/plain; charset=gbk"),
    *(b"Content-Type: multipart/mixed; boundary=b", b"Content-Transfer-Encoding: base64"),
    *(b"Content-Transfer-Encoding: quoted-printable", b"api_id=", b"hmt_flag=", b"extension=", b"image_base64="),
    *(b"%ED%A0%80", b"%C0%AF", b"%FF", "张".encode(), "张".encode("gbk"), b"a" * 5000),
]
PIECES = st.lists(st.sampled_from(TOKENS) | st.binary(max_size=8), max_size=24).map(b"".join)
WHOLE = (
    b'--b\r\nContent-Disposition: form-data; name="api_id"\r\n\r\na\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    b"\xff\xd8\xff\r\n--b--\r\n"
)
CONTENT_TYPES = st.sampled_from(
    [
        "",
        URLENCODED,
        f"{URLENCODED}; charset=gbk",
        MULTIPART,
        f"{MULTIPART}; boundary=b",
        f'{MULTIPART}; boundary="b"; charset=utf-16',
        f"{MULTIPART}; boundary=",
        f"{MULTIPART}; boundary=\r\n",
        f"{MULTIPART}; boundary=张",
        f"{MULTIPART}; boundary={'b' * 300}",
        "multipart/mixed; boundary=b",
        "application/json",
        ";",
    ]
) | st.text(max_size=40).map(lambda text: f"{MULTIPART}; boundary={text}")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A body that was right before a few of its bytes were cut out, doubled or replaced."""
    body = WHOLE
    for _ in range(draw(st.integers(1, 4))):
        start, length = draw(st.integers(0, len(body))), draw(st.integers(0, 12))
        inserted = draw(
            st.sampled_from([b"", body[start : start + length]]) | st.sampled_from(TOKENS) | st.binary(max_size=4)
        )
        body = body[:start] + inserted + body[start + draw(st.sampled_from([0, length])) :]
    return body


def refusal(call: Callable[[], object]) -> RefusedError | None:
    """How `call` was refused; None when it was not. Everything else that it raises fails the test."""
    try:
        call()
    except RefusedError as refused:
        return refused
    return None


def use(query: bytes, content_type: str, body: bytes) -> None:
    parameters = parse(query, content_type, body)
    assert set(parameters.texts) <= set(MAX_TEXT_BYTES)
    assert all(parameters.texts.values())
    _ = parameters.source, parameters.flag, parameters.extension
    decode(parameters.get("image_base64"))


def assert_read_or_refused(query: bytes, content_type: str, body: bytes) -> None:
    refused = refusal(lambda: use(query, content_type, body))
    assert refused is None or refused.code in {Code.NOT_UTF8, Code.BAD_REQUEST, Code.NOT_AN_IMAGE}
    assert refused is None or refused.reason or refused.code is Code.NOT_UTF8


@SEEDED
@given(PIECES, CONTENT_TYPES, PIECES | st.binary(max_size=200))
@example(b"", f"{MULTIPART}; boundary=b", b"--b\r\n\r\n\r\n--b--")
def test_any_bytes_are_read_or_refused(query: bytes, content_type: str, body: bytes) -> None:
    assert_read_or_refused(query, content_type, body)


@SEEDED
@given(mutated())
def test_a_damaged_multipart_body_is_read_or_refused(body: bytes) -> None:
    assert_read_or_refused(b"", f"{MULTIPART}; boundary=b", body)


@SEEDED
@given(st.text())
def test_any_text_is_decoded_or_refused(text: str) -> None:
    refused = refusal(lambda: decode(text))
    assert refused is None or refused.code is Code.NOT_AN_IMAGE


@SEEDED
@given(
    st.lists(
        st.sampled_from([b"%", b"%4", b"%41", b"%fF", b"+", b"=", b"\r\n", b"\n", b"_", b".", b" "])
        | st.binary(max_size=3)
    ).map(b"".join)
)
def test_values_are_unescaped_as_the_standard_library_does(value: bytes) -> None:
    whole = value.replace(b"&", b"%26")
    ((_, unescaped),) = pairs(b"a=" + whole, 1)
    assert unquote_to_bytes(whole.replace(b"+", b" ")) == unescaped
