"""The faults that can be set, and what one call gets of them."""

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from hmt_pass.endpoint.faults import Faults, Strike, garbage
from hmt_pass.endpoint.faults.order import AFTER, BEFORE, Order


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def faults_of(*wanted: dict[str, Any], **injected: Callable[[], float]) -> Faults:
    faults = Faults(**injected)
    for order in wanted:
        faults.set(Order.from_wire(order))
    return faults


def strikes(faults: Faults, calls: int) -> list[Strike]:
    return [faults.strike() for _ in range(calls)]


def test_a_fault_hits_as_many_calls_as_it_says() -> None:
    assert [Strike("9980"), Strike("9980"), Strike()] == strikes(faults_of({"code": "9980", "count": 2}), 3)


def test_a_fault_ends_when_its_time_is_over() -> None:
    clock = Clock()
    faults = faults_of({"code": "1005", "for_s": 60}, now_s=clock)
    before = faults.strike()
    clock.now_s = 60
    assert (Strike("1005"), Strike()) == (before, faults.strike())


def test_a_fault_without_an_end_stays_until_it_is_cleared() -> None:
    faults = faults_of({"latency_s": 0.3})
    before = strikes(faults, 5)
    faults.clear()
    assert ([Strike(latency_s=0.3)] * 5, Strike()) == (before, faults.strike())


def test_the_effects_of_one_order_hit_the_same_calls() -> None:
    faults = faults_of({"code": "9999", "drop": "after", "share": 0.5}, chance=random.Random(1).random)
    assert {Strike("9999", drop=AFTER), Strike()} == set(strikes(faults, 20))


def test_a_share_of_the_calls_is_hit_and_only_they_count() -> None:
    faults = faults_of({"garbage": "html", "share": 0.25, "count": 100}, chance=random.Random(1).random)
    hit = [bool(strike.garbage) for strike in strikes(faults, 1000)]
    assert (100, True) == (sum(hit), 300 < hit.index(True) + 1000 - hit[::-1].index(True) < 500)


@pytest.mark.parametrize(("share", "expected"), [(0, 0), (1, 10)])
def test_a_share_of_nothing_and_of_all(share: float, expected: int) -> None:
    faults = faults_of({"code": "9999", "share": share}, chance=lambda: 0.0)
    assert expected == sum(bool(strike.code) for strike in strikes(faults, 10))


def test_effects_of_several_orders_stand_together_each_with_its_own_end() -> None:
    faults = faults_of({"latency_s": 1}, {"hang": "before", "count": 1})
    assert [Strike(latency_s=1, hang=BEFORE), Strike(latency_s=1)] == strikes(faults, 2)


def test_a_later_order_replaces_the_effects_that_it_names() -> None:
    faults = faults_of({"code": "9980", "latency_s": 2}, {"code": "1005", "count": 1})
    assert [Strike("1005", 2), Strike("", 2)] == strikes(faults, 2)


def test_clearing_leaves_the_counters() -> None:
    faults = faults_of({"code": "9980"})
    faults.strike()
    faults.charged = 2
    faults.clear()
    faults.strike()
    assert {"faults": {}, "calls": 2, "charged": 2, "struck": 1, "hanging": 0} == faults.describe()


def test_a_description_says_what_is_left() -> None:
    clock = Clock()
    faults = faults_of({"code": "1005", "for_s": 60, "share": 0.5}, {"drop": "after", "count": 3}, now_s=clock)
    clock.now_s = 20
    expected = {
        "code": {"value": "1005", "count": None, "share": 0.5, "for_s": 40.0},
        "drop": {"value": "after", "count": 3, "share": 1.0, "for_s": None},
    }
    assert expected == faults.describe()["faults"]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({}, "give one of code, latency_s, hang, drop, garbage"),
        ({"count": 1}, "give one of"),
        ({"code": "0000"}, "code must be"),
        ({"code": 9980}, "code must be"),
        ({"code": "99"}, "code must be"),
        ({"code": "\uff11\uff12\uff13\uff14"}, "code must be"),
        ({"latency_s": -1}, "latency_s must be"),
        ({"latency_s": "1"}, "latency_s must be"),
        ({"latency_s": True}, "latency_s must be"),
        ({"latency_s": float("nan")}, "latency_s must be"),
        ({"latency_s": 3601}, "latency_s must be"),
        ({"hang": []}, "hang must be before or after"),
        ({"drop": "during"}, "drop must be before or after"),
        ({"garbage": "xml"}, "garbage must be html or gateway or half or text or empty or list or bytes"),
        ({"code": "9980", "count": 0}, "count must be"),
        ({"code": "9980", "count": 1.5}, "count must be"),
        ({"code": "9980", "count": True}, "count must be"),
        ({"code": "9980", "count": float("inf")}, "count must be"),
        ({"code": "9980", "for_s": 10**400}, "for_s must be"),
        ({"code": "9980", "count": None}, "count must be"),
        ({"code": "9980", "share": 1.1}, "share must be"),
        ({"code": "9980", "for_s": 0}, "for_s must be"),
        ({"code": "9980", "for_s": float("inf")}, "for_s must be"),
        ({"code": "9980", "times": 1}, "every key must be one of code, .*for_s"),
    ],
)
def test_what_is_no_fault_is_refused(wanted: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}"):
        Order.from_wire(wanted)


def test_a_refusal_names_every_problem() -> None:
    with pytest.raises(ValueError, match="key") as caught:
        Order.from_wire({"code": "0000", "drop": 1, "times": 1, "count": 0})
    assert ["every", "code", "drop", "count"] == [line.split()[0] for line in str(caught.value).splitlines()]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"[1]", b"null", b'"code"'])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"must be (a )?JSON"):
        Order.from_json(body)


async def connected() -> dict[str, Any]:
    """The caller stays, and what it sent before is no hanging up."""
    await asyncio.sleep(3600)
    return {"type": "http.disconnect"}


def test_a_hung_call_goes_on_once_the_faults_are_cleared() -> None:
    async def hang() -> tuple[int, int]:
        faults = Faults()
        calls = [asyncio.create_task(faults.hang(connected)) for _ in range(3)]
        await asyncio.sleep(0)
        hanging = faults.hanging
        faults.clear()
        await asyncio.gather(*calls)
        return hanging, faults.hanging

    assert (3, 0) == asyncio.run(hang())


def test_a_hung_call_ends_when_its_caller_hangs_up() -> None:
    messages = iter([{"type": "http.request"}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(messages)

    with pytest.raises(ClientDisconnect):
        asyncio.run(Faults().hang(receive))


def test_a_call_does_not_hang_in_an_endpoint_that_stops() -> None:
    async def hang() -> None:
        faults = Faults()
        faults.stop()
        await faults.hang(connected)

    with pytest.raises(ClientDisconnect):
        asyncio.run(hang())


ANSWER = {"code": "0000", "msg": "调用成功"}


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("html", 502, "text/html"),
        ("gateway", 503, "application/json"),
        ("half", 403, "application/json"),
        ("text", 403, "text/plain"),
        ("empty", 403, "application/json"),
        ("list", 403, "application/json"),
        ("bytes", 403, "application/json"),
    ],
)
@pytest.mark.parametrize("answer", [ANSWER, {"code": "1234", "msg": "plain"}])
def test_garbage_is_never_the_answer_of_the_api(
    kind: str, status: int, content_type: str, answer: dict[str, str]
) -> None:
    sent = garbage.instead_of(JSONResponse(answer, 403), garbage.Kind(kind))
    try:
        read = json.loads(bytes(sent.body))
    except ValueError:
        read = None
    is_answer = isinstance(read, dict) and "code" in read
    shown = sent.headers["content-type"].partition(";")[0]
    assert (False, status, content_type) == (is_answer, sent.status_code, shown)
    assert str(len(sent.body)) == sent.headers["content-length"]


def test_every_kind_of_garbage_can_be_made() -> None:
    made = [garbage.instead_of(JSONResponse(ANSWER), kind) for kind in garbage.Kind]
    assert len(garbage.Kind) == len({bytes(response.body) for response in made})
