"""The answers that a switch of the endpoint or the parameter `extension` changes, over real HTTP."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from endpoints import API_ID, API_SECRET, PERMIT, Endpoint, refusal, running, said

from hmt_pass import signing
from hmt_pass.codes import Code
from hmt_pass.endpoint import __main__ as command
from hmt_pass.endpoint.conventions import Conventions, HttpStatus, NoPermit, Shape
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reading import Reading, Verdict
from hmt_pass.permit import WIRE_NAMES, Permit

READING = Reading(
    Kind.HK_MACAU,
    PERMIT,
    Verdict.ACCEPT,
    confidence=dict.fromkeys(WIRE_NAMES, 0.99),
    boxes={"card_num": ((1, 2), (30, 2), (30, 9), (1, 9))},
)
CARDS = [(Kind.HK_MACAU, flag, flag != "3") for flag in "0123"] + [(Kind.TAIWAN, flag, flag == "3") for flag in "0123"]
KEYS = {"request_id", "code", "msg", "charge"}
FIELDS = {"image_id", *WIRE_NAMES.values()}


@pytest.fixture(scope="module")
def served() -> Iterator[Endpoint]:
    with running() as started:
        yield started


@pytest.fixture
def endpoint(served: Endpoint) -> Endpoint:
    served.engine.found = READING
    return served


@pytest.fixture(scope="module")
def lenient() -> Iterator[Endpoint]:
    with running(conventions=Conventions(no_permit=NoPermit.EMPTY)) as started:
        yield started


@pytest.fixture(scope="module")
def strict() -> Iterator[Endpoint]:
    with running(conventions=Conventions(strict_face=True)) as started:
        yield started


@pytest.fixture(scope="module")
def punctual() -> Iterator[Endpoint]:
    with running(conventions=Conventions(timestamp_window_s=60)) as started:
        yield started


@pytest.mark.parametrize(("kind", "flag", "fits"), CARDS)
def test_the_flag_decides_which_permit_is_looked_for(endpoint: Endpoint, kind: Kind, flag: str, fits: bool) -> None:
    endpoint.engine.found = Reading(kind, PERMIT)
    expected = (Code.OK.value, Code.OK.message, 1, "") if fits else refusal(Code.BAD_IMAGE_SIZE_OR_FORMAT, "file")
    assert expected == said(endpoint.send(hmt_flag=flag))


@pytest.mark.parametrize(("kind", "flag", "fits"), CARDS)
def test_with_no_permit_empty_a_permit_of_the_other_kind_is_charged_and_its_fields_stay_empty(
    lenient: Endpoint, kind: Kind, flag: str, fits: bool
) -> None:
    lenient.engine.found = Reading(kind, PERMIT)
    body = lenient.send(hmt_flag=flag)
    body["data"].pop("image_id")
    assert ("0000", 1, (PERMIT if fits else Permit()).to_wire()) == (body["code"], body["charge"], body["data"])


def test_a_picture_without_a_permit_is_1016_and_costs_nothing(endpoint: Endpoint) -> None:
    endpoint.engine.found = None
    assert refusal(Code.BAD_IMAGE_SIZE_OR_FORMAT, "file") == said(endpoint.send())


def test_with_no_permit_empty_a_picture_without_a_permit_is_charged(lenient: Endpoint) -> None:
    lenient.engine.found = None
    body = lenient.send()
    body["data"].pop("image_id")
    assert ("0000", 1, Permit().to_wire()) == (body["code"], body["charge"], body["data"])


@pytest.mark.parametrize(("has_portrait", "code"), [(True, "0000"), (False, "1004")])
def test_with_strict_face_a_card_without_its_portrait_is_1004(strict: Endpoint, has_portrait: bool, code: str) -> None:
    strict.engine.found = replace(READING, has_portrait=has_portrait)
    assert code == strict.send()["code"]


def test_without_strict_face_a_missing_portrait_is_none_of_our_business(endpoint: Endpoint) -> None:
    endpoint.engine.found = replace(READING, has_portrait=False)
    assert "0000" == endpoint.send()["code"]


@pytest.mark.parametrize("unit", signing.TimestampUnit)
@pytest.mark.parametrize(("age_s", "code"), [(0, "0000"), (50, "0000"), (-50, "0000"), (70, "1000"), (-70, "1000")])
def test_with_a_window_a_timestamp_too_old_or_too_new_is_1000(
    punctual: Endpoint, unit: signing.TimestampUnit, age_s: float, code: str
) -> None:
    timestamp = signing.timestamp(unit, time.time() - age_s)
    sign = signing.sign(API_ID, API_SECRET, timestamp)
    assert code == punctual.send(timestamp=timestamp, sign=sign)["code"]


def test_without_a_window_any_clock_will_do(endpoint: Endpoint) -> None:
    sign = signing.sign(API_ID, API_SECRET, "1000000000")
    assert "0000" == endpoint.send(timestamp="1000000000", sign=sign)["code"]


def test_a_body_has_exactly_the_keys_of_the_text(endpoint: Endpoint) -> None:
    recognized, refused = endpoint.send(), endpoint.send(sign="0" * 64)
    assert (KEYS | {"data"}, FIELDS, KEYS) == (set(recognized), set(recognized["data"]), set(refused))


@pytest.mark.parametrize(("extension", "keys"), [("verdict", set()), ("boxes", {"boxes"})])
def test_the_extension_is_beside_the_fields_and_changes_nothing_else(
    endpoint: Endpoint, extension: str, keys: set[str]
) -> None:
    data = endpoint.send(extension=extension)["data"]
    added = data.pop("extension")
    assert (FIELDS, {"verdict", "confidence"} | keys, "accept") == (set(data), set(added), added["verdict"])
    assert dict.fromkeys(WIRE_NAMES.values(), 0.99) == added["confidence"]


def test_boxes_are_corners_in_pixels(endpoint: Endpoint) -> None:
    boxes = endpoint.send(extension="boxes")["data"]["extension"]["boxes"]
    assert {"cardNum": [[1, 2], [30, 2], [30, 9], [1, 9]]} == boxes


def test_an_extension_that_does_not_exist_is_1002(endpoint: Endpoint) -> None:
    body = endpoint.send(extension="everything")
    assert ("1002", "extension must be verdict or boxes") == (body["code"], body["reason"])


@pytest.mark.parametrize("shape", Shape)
def test_the_older_http_style_changes_the_status_and_not_the_body(shape: Shape) -> None:
    with running(conventions=Conventions(shape=shape, http_status=HttpStatus.V1)) as endpoint:
        requests = [{}, {"image_id": "x", "sign": "0" * 64}, {"path": "/elsewhere"}]
        answered = [endpoint.request(**request) for request in requests]
    assert [(400, "1002"), (401, "1000"), (404, "1012")] == [
        (response.status_code, response.json()["code"]) for response in answered
    ]


@pytest.mark.parametrize(
    ("switch", "text", "wanted"),
    [
        *[("--timestamp-window-s", text, "a number of seconds above 0") for text in ("nan", "inf", "-1", "0", "1 min")],
        *[("--image-lifetime-s", text, "a number of seconds above 0") for text in ("nan", "-inf", "-1", "0")],
        *[("--image-store-mib", text, "a whole number of 0 or more") for text in ("-1", "1.5", "nan")],
        *[("--max-waiting", text, "a whole number of 0 or more") for text in ("-5", "1e3", "", "²")],
        *[("--port", text, "a whole number from 0 to 65535") for text in ("-1", "65536", "http")],
    ],
)
def test_a_number_that_makes_no_sense_is_told_before_anything_starts(
    switch: str, text: str, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["--port=0", f"{switch}={text}"])
    assert (2, f"argument {switch}: {text!r} is not {wanted}") == (
        caught.value.code,
        capsys.readouterr().err.splitlines()[-1].partition("error: ")[2],
    )


def test_numbers_at_their_bounds_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HMT_PASS_API_ID", raising=False)
    switches = ["--port=65535", "--max-waiting=0", "--image-store-mib=0", "--image-lifetime-s=.5"]
    assert 2 == command.main([*switches, "--timestamp-window-s=1e9"])  # for want of an account alone


def test_a_usage_file_without_accounts_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--port=0", "--usage=here.usage"])
    assert "error: --usage needs --accounts" in capsys.readouterr().err
