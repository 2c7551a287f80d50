import hashlib
import re

import pytest

from hmt_pass import signing
from hmt_pass.signing import TimestampUnit

NOW_S = 1_763_827_200.9876


def test_the_signature_is_sha256_over_the_three_strings_joined() -> None:
    by_hand = hashlib.sha256()
    for part in ("an-account", "a-secret", "1763827200987"):
        by_hand.update(part.encode("ascii"))
    assert by_hand.hexdigest() == signing.sign("an-account", "a-secret", "1763827200987")


def test_a_published_vector_of_sha256_comes_out() -> None:
    # FIPS 180-2, appendix B.1: the message "abc".
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert expected == signing.sign("a", "b", "c")


def test_what_is_not_ascii_is_signed_as_utf_8() -> None:
    assert hashlib.sha256(b"\xe8\x81\x8cs1").hexdigest() == signing.sign("职", "s", "1")


@pytest.mark.parametrize(
    ("unit", "expected"), [(TimestampUnit.MILLISECONDS, "1763827200987"), (TimestampUnit.SECONDS, "1763827200")]
)
def test_a_timestamp_is_whole_and_in_its_unit(unit: TimestampUnit, expected: str) -> None:
    assert expected == signing.timestamp(unit, NOW_S)


def test_a_timestamp_is_now_in_milliseconds_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW_S)
    assert signing.timestamp() == "1763827200987"


SIGNATURE = signing.sign("an-account", "a-secret", "1763827200987")


def test_a_signature_verifies() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", SIGNATURE)
    assert signing.verify("an-account", "a-secret", "1763827200987", SIGNATURE)


@pytest.mark.parametrize(
    "signature",
    [SIGNATURE.upper(), SIGNATURE[:-1], SIGNATURE + "0", f" {SIGNATURE}", SIGNATURE[::-1], "", "签"],
    ids=["upper case", "cut", "longer", "space", "changed", "empty", "not ascii"],
)
def test_any_other_text_does_not_verify(signature: str) -> None:
    assert not signing.verify("an-account", "a-secret", "1763827200987", signature)


@pytest.mark.parametrize(
    "signed",
    [
        ("another", "a-secret", "1763827200987"),
        ("an-account", "b-secret", "1763827200987"),
        ("an-account", "a-secret", "1"),
    ],
)
def test_a_signature_over_anything_else_does_not_verify(signed: tuple[str, str, str]) -> None:
    assert not signing.verify(*signed, SIGNATURE)
