"""Images in base64, as callers send them."""

import base64

import pytest

from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.encodings.base64_image import decode

IMAGE = bytes(range(256)) + b"\xfb\xef\xbe"  # 259 bytes, with every digit of the alphabet in their base64
PLAIN = base64.b64encode(IMAGE).decode()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.rstrip("="),
        PLAIN.replace("+", "-").replace("/", "_"),
        PLAIN.replace("+", " "),
        base64.encodebytes(IMAGE).decode(),
        "\r\n".join(PLAIN[start : start + 76] for start in range(0, len(PLAIN), 76)),
        f"data:image/jpeg;base64,{PLAIN}",
        f"DATA:;base64,{PLAIN}",
        f"  {PLAIN} \n",
    ],
)
def test_every_spelling_gives_the_same_bytes(text: str) -> None:
    assert IMAGE == decode(text)


def test_a_plus_sign_that_became_a_space_counts_at_the_end_too() -> None:
    assert base64.b64decode("AAA+") == decode("AAA ")


@pytest.mark.parametrize(
    "text", ["*", "AAAAA", "AA=A", "张", "AA%2B", "data:image/jpeg,AAAA", "data:image/jpeg;base64"]
)
def test_what_is_no_base64_is_1015_and_named(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        decode(text)
    assert (Code.NOT_AN_IMAGE, "image_base64", True) == (
        caught.value.code,
        caught.value.image,
        bool(caught.value.reason),
    )
