"""The endpoint's protocol over real HTTP, with an engine that only counts."""

import base64
import logging
import socket
from collections.abc import Callable
from contextlib import closing
from itertools import combinations

import pytest
import requests
from endpoints import API_ID, API_SECRET, PERMIT, Endpoint, gives, photo, refusal, said

from hmt_pass import signing
from hmt_pass.codes import Code
from hmt_pass.endpoint.app import PATH
from hmt_pass.endpoint.parameters import MAX_BODY_BYTES

ORDER = ("image_id", "file", "image_base64", "url")


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


@pytest.mark.parametrize("sent", [some for count in (2, 3, 4) for some in combinations(ORDER, count)], ids="-".join)
def test_the_first_source_in_the_text_s_order_is_taken(
    endpoint: Endpoint, web: Callable[..., str], sent: tuple[str, ...]
) -> None:
    pictures = {name: photo(64 + number) for number, name in enumerate(ORDER)}
    sources = {
        "image_id": endpoint.send(pictures["image_id"])["data"]["image_id"],
        "image_base64": base64.b64encode(pictures["image_base64"]).decode(),
        "url": web(gives(pictures["url"])),
    }
    files = {"file": ("a.jpg", pictures["file"])} if "file" in sent else None
    endpoint.post(files=files, **{name: value for name, value in sources.items() if name in sent})
    first = next(name for name in ORDER if name in sent)
    assert endpoint.engine.seen[1:] == [pictures[first]]


def test_a_first_source_that_fails_is_not_replaced_by_the_second(endpoint: Endpoint) -> None:
    assert said(endpoint.send(image_id="0" * 32)) == refusal(Code.IMAGE_MISSING, "image_id")
    assert endpoint.engine.seen == []


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


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"api_id": "another", "sign": "0" * 64, "hmt_flag": "9"}, Code.BAD_REQUEST),
        ({"api_id": "another", "sign": "0" * 64}, Code.BAD_ACCOUNT),
        ({"sign": "0" * 64}, Code.BAD_SIGNATURE),
        ({}, Code.NOT_AN_IMAGE),
    ],
)
def test_of_many_faults_parameters_come_first_then_the_account_then_the_image(
    endpoint: Endpoint, changes: dict[str, str], code: Code
) -> None:
    assert endpoint.send(b"no image", **changes)["code"] == code.value


def test_a_call_without_an_image_is_1002_with_a_reason(endpoint: Endpoint) -> None:
    assert "image_base64" in endpoint.post()["reason"]


def test_a_body_that_cannot_be_read_is_1002(endpoint: Endpoint) -> None:
    response = requests.post(endpoint.url + PATH, json={}, timeout=20)
    assert response.json()["code"] == "1002"


@pytest.mark.parametrize("path", ["/", "/v2/ocr/hmt_passport", PATH + "/"])
def test_another_path_is_1012(endpoint: Endpoint, path: str) -> None:
    assert said(endpoint.post(path=path)) == refusal(Code.BAD_PATH)


def test_another_method_is_1012(endpoint: Endpoint) -> None:
    assert requests.get(endpoint.url + PATH, timeout=20).json()["code"] == "1012"


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


def test_a_bug_of_the_engine_is_9999_and_its_log_line_holds_no_data(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.engine.found = ValueError("陈露露 C00000001")
    with caplog.at_level(logging.INFO):
        body = endpoint.send()
    assert said(body) == refusal(Code.SERVER_ERROR)
    assert ("ValueError at read" in caplog.text, "C00000001" in caplog.text) == (True, False)


def test_the_endpoint_is_healthy(endpoint: Endpoint) -> None:
    assert requests.get(endpoint.url + "/healthz", timeout=20).status_code == 200
