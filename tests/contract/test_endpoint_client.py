"""Client and endpoint in conversation over real HTTP, in both shapes of an answer and both styles of HTTP status.

What the client alone puts on the wire is in test_client_calls; what the endpoint alone answers, in test_endpoint_*.
"""

import base64
import logging
import os
from collections.abc import Callable, Iterator
from datetime import date
from itertools import product

import pytest
from endpoints import API_ID, API_SECRET, PERMIT, Endpoint, gives, photo, running, website

from hmt_pass.client import Client
from hmt_pass.codes import Code, Disposition
from hmt_pass.endpoint.accounts import Account, Accounts
from hmt_pass.endpoint.conventions import Conventions, HttpStatus, NoPermit, Shape
from hmt_pass.endpoint.engine import card
from hmt_pass.endpoint.engine.reading import Reading
from hmt_pass.endpoint.faults.garbage import Kind
from hmt_pass.errors import UnansweredError, UnreadableReplyError
from hmt_pass.permit import Flag, Permit, Reply
from hmt_pass.signing import TimestampUnit

PHOTO = photo()
STYLES = list(product(Shape, HttpStatus))
KINDS = {flag: card.Kind.TAIWAN if flag is Flag.TAIWAN else card.Kind.HK_MACAU for flag in Flag}
LIMITED = {
    Code.ACCOUNT_EXPIRED: Account("expired", API_SECRET, expires=date(2020, 1, 31)),
    Code.RESTRICTED: Account("restricted", API_SECRET, restricted=True),
    Code.NO_PERMISSION: Account("without rights", API_SECRET, rights=frozenset()),
    Code.QUOTA_EXCEEDED: Account("used up", API_SECRET, quota=0),
    Code.NO_BALANCE: Account("poor", API_SECRET, balance=0),
}
REFUSALS = [code for code in Code if code is not Code.OK]

Serve = Callable[..., str]
Send = Callable[[Client, Serve, Flag], Reply]


@pytest.fixture(scope="module", params=STYLES, ids=lambda style: f"{style[0]}-{style[1]}")
def conventions(request: pytest.FixtureRequest) -> Conventions:
    shape, style = request.param
    return Conventions(shape=shape, http_status=style)


@pytest.fixture(scope="module")
def served(conventions: Conventions) -> Iterator[Endpoint]:
    accounts = Accounts(Account(API_ID, API_SECRET), *LIMITED.values())
    with running(faults=True, conventions=conventions, accounts=accounts) as started:
        yield started


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def client(endpoint: Endpoint) -> Client:
    return Client(API_ID, API_SECRET, endpoint.url)


@pytest.fixture(scope="module")
def web() -> Iterator[Serve]:
    with website() as serve:
        yield serve


def by_file(client: Client, _: Serve, flag: Flag) -> Reply:
    return client.recognize(PHOTO, flag=flag)


def by_base64(client: Client, _: Serve, flag: Flag) -> Reply:
    return client.recognize(image_base64=base64.b64encode(PHOTO).decode(), flag=flag)


def by_url(client: Client, serve: Serve, flag: Flag) -> Reply:
    return client.recognize(url=serve(gives(PHOTO)) + "?X-Amz-Signature=a/b+c=&name=样本", flag=flag)


def by_image_id(client: Client, _: Serve, flag: Flag) -> Reply:
    first = client.recognize(PHOTO, flag=flag)
    again = client.recognize(image_id=first.image_id, flag=flag)
    assert first.image_id == again.image_id
    return again


@pytest.mark.parametrize("flag", Flag)
@pytest.mark.parametrize("send", [by_file, by_base64, by_url, by_image_id])
def test_a_permit_comes_back_whole_by_every_source_and_flag(
    endpoint: Endpoint, client: Client, web: Serve, send: Send, flag: Flag
) -> None:
    endpoint.engine.found = Reading(KINDS[flag], PERMIT)
    reply = send(client, web, flag)
    assert (reply.code, reply.msg, reply.disposition, reply.permit) == ("0000", "调用成功", Disposition.DONE, PERMIT)
    assert (reply.charge, reply.charged, reply.reason, reply.image) == (1, True, "", "")
    assert (len(bytes.fromhex(reply.image_id)), len(bytes.fromhex(reply.request_id.removeprefix("TID")))) == (16, 16)
    assert endpoint.engine.seen[-1] == PHOTO


@pytest.mark.parametrize("code", REFUSALS)
def test_every_code_is_a_reply_with_its_disposition_and_costs_nothing(
    endpoint: Endpoint, client: Client, code: Code
) -> None:
    endpoint.fault(code=code.value, count=1)
    reply = client.recognize(PHOTO)
    assert (reply.code, reply.msg, reply.disposition) == (code.value, code.message, code.disposition)
    assert (reply.charge, reply.charged, reply.permit, reply.image_id) == (2, False, None, "")
    assert (bool(reply.reason), reply.image) == ("reason" in code.message, "file" if "image" in code.message else "")


def test_a_code_that_the_text_does_not_list_is_a_dead_letter(endpoint: Endpoint, client: Client) -> None:
    endpoint.fault(code="4711", count=1)
    reply = client.recognize(PHOTO)
    assert (reply.code, reply.disposition, reply.charged) == ("4711", Disposition.DEAD_LETTER, False)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ({"image": PHOTO + bytes(5 * 1024 * 1024)}, Code.IMAGE_TOO_LARGE),
        ({"image_id": "0" * 32}, Code.IMAGE_MISSING),
        ({"image": b"no image"}, Code.NOT_AN_IMAGE),
        ({"image_base64": "*"}, Code.NOT_AN_IMAGE),
        ({"image": photo(8)}, Code.BAD_IMAGE_SIZE_OR_FORMAT),
        ({"image": PHOTO, "flag": Flag.TAIWAN}, Code.BAD_IMAGE_SIZE_OR_FORMAT),
    ],
)
def test_the_image_s_own_fault_is_a_reject_and_names_the_parameter(
    client: Client, source: dict[str, object], code: Code
) -> None:
    reply = client.recognize(**source)  # type: ignore[arg-type]  # some keywords of many
    named = next(iter(source)).replace("image", "file") if "image" in source else next(iter(source))
    assert (reply.code, reply.disposition, reply.image) == (code.value, Disposition.REJECT, named)


@pytest.mark.parametrize(
    ("api_id", "api_secret", "base", "code"),
    [
        (API_ID, "another secret", "", Code.BAD_SIGNATURE),
        ("nobody", API_SECRET, "", Code.BAD_ACCOUNT),
        (API_ID, API_SECRET, "/elsewhere", Code.BAD_PATH),
    ],
)
def test_a_wrong_account_or_address_is_known_by_its_code(
    endpoint: Endpoint, api_id: str, api_secret: str, base: str, code: Code
) -> None:
    reply = Client(api_id, api_secret, endpoint.url + base).recognize(PHOTO)
    assert (reply.code, reply.disposition, reply.charged) == (code.value, Disposition.DEAD_LETTER, False)
    assert endpoint.engine.seen == []


@pytest.mark.parametrize("code", LIMITED)
def test_an_account_that_may_not_call_is_known_by_its_code(endpoint: Endpoint, code: Code) -> None:
    reply = Client(LIMITED[code].api_id, API_SECRET, endpoint.url).recognize(PHOTO)
    assert (reply.code, reply.disposition, reply.charged) == (code.value, Disposition.DEAD_LETTER, False)
    assert (bool(reply.reason), endpoint.engine.seen) == (code is Code.ACCOUNT_EXPIRED, [])


@pytest.mark.parametrize("unit", TimestampUnit)
def test_either_unit_of_the_timestamp_is_taken(endpoint: Endpoint, unit: TimestampUnit) -> None:
    assert Client(API_ID, API_SECRET, endpoint.url, timestamp_unit=unit).recognize(PHOTO).code == "0000"


def test_the_sequence_id_of_a_call_is_in_the_endpoint_s_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        reply = client.recognize(PHOTO, sequence_id="order-4711-front.2")
    assert f"request_id={reply.request_id} sequence_id=order-4711-front.2 code=0000" in caplog.text


@pytest.mark.parametrize(("when", "charges"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_is_ambiguous_whether_it_was_charged_or_not(
    endpoint: Endpoint, client: Client, when: str, charges: int
) -> None:
    before = endpoint.shown_faults()["charged"]
    endpoint.fault(drop=when, count=1)
    with pytest.raises(UnansweredError) as caught:
        client.recognize(PHOTO)
    assert (caught.value.possibly_charged, endpoint.shown_faults()["charged"] - before) == (True, charges)
    assert client.recognize(PHOTO).code == "0000"


@pytest.mark.parametrize("wanted", [{"latency_s": 1.0}, {"hang": "before"}, {"hang": "after"}], ids=str)
def test_an_answer_that_does_not_come_in_time_is_ambiguous(endpoint: Endpoint, wanted: dict[str, object]) -> None:
    endpoint.fault(count=1, **wanted)
    with pytest.raises(UnansweredError):
        Client(API_ID, API_SECRET, endpoint.url, read_timeout_s=0.2).recognize(PHOTO)


@pytest.mark.parametrize("kind", Kind)
def test_garbage_in_the_place_of_an_answer_is_unreadable_and_was_charged(
    endpoint: Endpoint, client: Client, kind: Kind
) -> None:
    before = endpoint.shown_faults()["charged"]
    endpoint.fault(garbage=kind, count=1)
    with pytest.raises(UnreadableReplyError) as caught:
        client.recognize(PHOTO)
    expected = {Kind.HTML: 502, Kind.GATEWAY: 503}.get(kind, 200)
    assert (expected, 1) == (caught.value.http_status, endpoint.shown_faults()["charged"] - before)
    assert client.recognize(PHOTO).code == "0000"


def test_shape_and_http_status_are_those_that_were_asked_for(endpoint: Endpoint, conventions: Conventions) -> None:
    """The client hides both; so that this module tests what it says, they are looked at here."""
    recognized = endpoint.send()
    refused = endpoint.request(image_id="0" * 32)
    style = HttpStatus.ALWAYS_200 if refused.status_code == 200 else HttpStatus.V1
    shape = Shape.NESTED if "words_result" in recognized["data"] else Shape.FLAT
    assert (shape, style) == (conventions.shape, conventions.http_status)


@pytest.mark.parametrize(("shape", "style"), STYLES)
def test_no_permit_answered_with_empty_fields_is_a_charged_reply_without_content(
    shape: Shape, style: HttpStatus
) -> None:
    conventions = Conventions(shape=shape, http_status=style, no_permit=NoPermit.EMPTY)
    with running(conventions=conventions) as started:
        started.engine.found = None
        reply = Client(API_ID, API_SECRET, started.url).recognize(PHOTO)
    assert (reply.code, reply.charged, reply.permit) == ("0000", True, Permit())
