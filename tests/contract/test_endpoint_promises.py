"""What holds for every call to the endpoint: who may use an image_id, what is charged, and what no log line says."""

import base64
import logging
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from endpoints import API_ID, API_SECRET, PERMIT, Endpoint, gives, photo, refusal, running, said
from hypothesis import given, settings
from hypothesis import strategies as st

from hmt_pass import signing
from hmt_pass.codes import Code
from hmt_pass.endpoint.accounts import Account, Accounts
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reading import Reading
from hmt_pass.endpoint.images import LIFETIME_S, ImageStore

OTHER_ID, OTHER_SECRET = "another-account", "a-secret-of-the-other-account"


class Clock:
    """A clock that is set by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def served(clock: Clock) -> Iterator[Endpoint]:
    accounts = Accounts(Account(API_ID, API_SECRET), Account(OTHER_ID, OTHER_SECRET))
    with running(faults=True, accounts=accounts, images=ImageStore(now_s=clock)) as started:
        yield started


def image_id_of(body: dict[str, Any]) -> str:
    return str(body["data"]["image_id"])


def test_ids_have_the_form_of_the_text_s_example_and_are_new_for_every_call(endpoint: Endpoint) -> None:
    bodies = [endpoint.send() for _ in range(3)]
    assert all(re.fullmatch("TID[0-9a-f]{32}", body["request_id"]) for body in bodies)
    assert all(re.fullmatch("[0-9a-f]{32}", image_id_of(body)) for body in bodies)
    assert (3, 3) == (len({body["request_id"] for body in bodies}), len({image_id_of(body) for body in bodies}))


def test_an_image_keeps_its_id(endpoint: Endpoint) -> None:
    image_id = image_id_of(endpoint.send())
    again = endpoint.post(image_id=image_id)
    assert (image_id, [photo()] * 2) == (image_id_of(again), endpoint.engine.seen)


def test_an_image_id_is_of_no_use_to_another_account(endpoint: Endpoint) -> None:
    image_id = image_id_of(endpoint.send())
    stolen = endpoint.post(image_id=image_id, api_id=OTHER_ID, api_secret=OTHER_SECRET)
    assert refusal(Code.IMAGE_MISSING, "image_id") == said(stolen)
    assert "0000" == endpoint.post(image_id=image_id)["code"]


def test_an_image_id_is_of_no_use_after_its_lifetime(endpoint: Endpoint, clock: Clock) -> None:
    image_id = image_id_of(endpoint.send())
    clock.now_s += LIFETIME_S - 1
    assert "0000" == endpoint.post(image_id=image_id)["code"]
    clock.now_s += 1
    assert refusal(Code.IMAGE_MISSING, "image_id") == said(endpoint.post(image_id=image_id))


def test_a_refused_image_has_no_id(endpoint: Endpoint) -> None:
    endpoint.engine.found = None
    assert {"request_id", "code", "msg", "charge", "image"} >= set(endpoint.send()) - {"reason"}


def forced(endpoint: Endpoint, code: str) -> dict[str, Any]:
    endpoint.fault(code=code, count=1)
    return endpoint.send()


CALLS: dict[str, Callable[[Endpoint], dict[str, Any]]] = {
    "a permit": lambda endpoint: endpoint.send(),
    "a permit in base64": lambda endpoint: endpoint.post(image_base64=base64.b64encode(photo()).decode()),
    "another kind": lambda endpoint: endpoint.send(hmt_flag="3"),
    "no image": lambda endpoint: endpoint.post(),
    "no such image": lambda endpoint: endpoint.post(image_id="0" * 32),
    "not an image": lambda endpoint: endpoint.send(b"no image"),
    "too small": lambda endpoint: endpoint.send(photo(8)),
    "wrong signature": lambda endpoint: endpoint.send(sign="0" * 64),
    "nobody": lambda endpoint: endpoint.send(api_id="nobody"),
    "wrong path": lambda endpoint: endpoint.post(path="/elsewhere"),
    "an address that is refused": lambda endpoint: endpoint.post(url="http://127.0.0.1:1/"),
    **{f"forced {code}": partial(forced, code=code) for code in ("1003", "9990", "4711")},
}


@settings(max_examples=25, deadline=None)
@given(names=st.lists(st.sampled_from(sorted(CALLS)), min_size=1, max_size=8))
def test_whatever_is_called_in_whatever_order_0000_alone_is_charged(served: Endpoint, names: list[str]) -> None:
    served.engine.found, before = Reading(Kind.HK_MACAU, PERMIT), served.shown_faults()["charged"]
    bodies = [CALLS[name](served) for name in names]
    expected = ["0000" if name.startswith("a permit") else "refused" for name in names]
    assert expected == ["0000" if body["code"] == "0000" else "refused" for body in bodies]
    assert [1 if code == "0000" else 2 for code in expected] == [body["charge"] for body in bodies]
    assert served.shown_faults()["charged"] - before == expected.count("0000")


def test_a_log_line_has_the_ids_and_the_code(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hmt_pass"):
        request_id = endpoint.send(sequence_id="a\nforged line")["request_id"]
    assert f"call request_id={request_id} sequence_id=a?forged?line code=0000 ms=" in caplog.text


def test_no_line_of_any_log_has_a_field_a_signature_a_secret_or_an_address(
    endpoint: Endpoint, web: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    address = web(gives(photo())) + "?X-Amz-Signature=of-the-bucket"
    timestamp = signing.timestamp()
    signed = {"timestamp": timestamp, "sign": signing.sign(API_ID, API_SECRET, timestamp)}
    with caplog.at_level(logging.DEBUG):
        codes = [
            endpoint.post(url=address, **signed)["code"],
            endpoint.post(url=address, query=True, **signed)["code"],
            endpoint.send(hmt_flag="3", **signed)["code"],
            endpoint.send(extension="boxes", **signed)["code"],
            endpoint.post(url="http://127.0.0.1:1/of-the-bucket", **signed)["code"],
        ]
        endpoint.engine.found = ValueError(f"{PERMIT.name_chn} {signed['sign']}")
        codes.append(endpoint.send(**signed)["code"])
    lines = [f"{record.getMessage()} {record.exc_text}" for record in caplog.records if ours(record)]
    private = {*PERMIT.to_wire().values(), signed["sign"], API_SECRET, "of-the-bucket"}
    assert ["0000", "0000", "1016", "0000", "1006", "9999"] == codes
    assert len(codes) == sum(line.startswith("call request_id=") for line in lines)
    assert set() == {text for text in private for line in lines if text in line}


def ours(record: logging.LogRecord) -> bool:
    """Whether the endpoint wrote the line: the test's own caller logs too, from the main thread."""
    return record.threadName != "MainThread"
