"""What the endpoint remembers and whom it knows: answers, account, images, faults."""

import pytest

from hmt_pass import signing
from hmt_pass.codes import Code
from hmt_pass.endpoint import answers
from hmt_pass.endpoint.accounts import Account
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.faults import Faults
from hmt_pass.endpoint.images import ImageStore
from hmt_pass.endpoint.parameters import Parameters
from hmt_pass.errors import SettingsError
from hmt_pass.permit import Permit

ACCOUNT = Account("an-account", "a-secret")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def signed(**changes: str) -> Parameters:
    timestamp = changes.get("timestamp", "1700000000000")
    sign = signing.sign("an-account", "a-secret", timestamp)
    return Parameters({"api_id": "an-account", "timestamp": timestamp, "sign": sign} | changes)


def test_an_answer_has_the_fields_flat_as_in_the_text_s_example() -> None:
    body = answers.recognized(Permit(card_num="C00000001", sex="女"), "0" * 32).body
    assert {"image_id", "address", "birthday", "cardNum", "nameChn", "nameEng", "sex", "validDate"} == set(body["data"])


def test_a_recognized_permit_is_charged_and_a_refusal_is_not() -> None:
    refusal = answers.refused(RefusedError(Code.BAD_SIGNATURE))
    assert (True, False) == (answers.recognized(Permit(), "").charged, refusal.charged)


def test_a_refusal_says_code_message_and_charge_2_and_nothing_empty() -> None:
    body = answers.refused(RefusedError(Code.BAD_SIGNATURE)).body
    assert ({"request_id", "code", "msg", "charge"}, "1000", "验签失败", 2) == (
        set(body),
        body["code"],
        body["msg"],
        body["charge"],
    )


def test_request_ids_are_tid_and_32_hex_digits_and_differ() -> None:
    one, other = (answers.recognized(Permit(), "").body["request_id"] for _ in range(2))
    assert ("TID", 32, True) == (one[:3], len(f"{int(one[3:], 16):032x}"), one != other)


@pytest.mark.parametrize(("code", "expected"), [("1002", {"reason"}), ("1016", {"image"}), ("9980", set())])
def test_a_forced_answer_has_the_keys_that_its_message_points_at(code: str, expected: set[str]) -> None:
    body = answers.forced(code, "url").body
    assert expected == set(body) - {"request_id", "code", "msg", "charge"}


def test_a_code_that_the_text_does_not_list_can_be_forced() -> None:
    answer = answers.forced("4711", "")
    assert ("4711", "4711", False) == (answer.code, answer.body["code"], answer.charged)


@pytest.mark.parametrize("timestamp", ["1700000000", "1700000000000"])
def test_a_signed_call_is_accepted_in_seconds_and_milliseconds(timestamp: str) -> None:
    ACCOUNT.authenticate(signed(timestamp=timestamp))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"api_id": ""}, Code.BAD_REQUEST),
        ({"timestamp": ""}, Code.BAD_REQUEST),
        ({"sign": ""}, Code.BAD_REQUEST),
        ({"timestamp": "yesterday"}, Code.BAD_REQUEST),
        ({"api_id": "another"}, Code.BAD_ACCOUNT),
        ({"sign": "0" * 64}, Code.BAD_SIGNATURE),
        ({"sign": "签"}, Code.BAD_SIGNATURE),
    ],
)
def test_a_call_of_nobody_is_refused(changes: dict[str, str], code: Code) -> None:
    with pytest.raises(RefusedError) as caught:
        ACCOUNT.authenticate(signed(**changes))
    assert code is caught.value.code


def test_the_account_comes_from_the_environment() -> None:
    environment = {"HMT_PASS_API_ID": "an-account", "HMT_PASS_API_SECRET": "a-secret"}
    assert Account.from_environment(environment) == ACCOUNT


def test_every_missing_name_is_reported_at_once() -> None:
    with pytest.raises(SettingsError, match="HMT_PASS_API_ID and HMT_PASS_API_SECRET"):
        Account.from_environment({})


def test_the_secret_is_in_no_repr() -> None:
    assert "a-secret" not in repr(ACCOUNT)


def test_an_image_is_found_under_its_id() -> None:
    store = ImageStore()
    assert b"image" == store.get(store.put(b"image"))


def test_an_image_that_was_never_here_is_not_found() -> None:
    assert ImageStore().get("0" * 32) is None


def test_the_oldest_images_make_room() -> None:
    store = ImageStore(max_bytes=10)
    ids = [store.put(b"four") for _ in range(3)]
    assert [None, b"four", b"four"] == [store.get(image_id) for image_id in ids]


def test_an_image_goes_when_its_lifetime_is_over() -> None:
    clock = Clock()
    store = ImageStore(lifetime_s=60, now_s=clock)
    image_id = store.put(b"image")
    clock.now_s = 61
    assert store.get(image_id) is None


def test_a_fault_hits_as_many_calls_as_it_says() -> None:
    faults = Faults()
    faults.set({"code": "9980", "count": 2})
    assert ["9980", "9980", ""] == [faults.take_code() for _ in range(3)]


def test_a_fault_ends_when_its_time_is_over() -> None:
    clock = Clock()
    faults = Faults(clock)
    faults.set({"code": "1005", "for_s": 60})
    before = faults.take_code()
    clock.now_s = 60
    assert ("1005", "") == (before, faults.take_code())


def test_a_fault_without_an_end_stays_until_it_is_cleared() -> None:
    faults = Faults()
    faults.set({"latency_s": 0.3})
    before = [faults.take_latency_s() for _ in range(5)]
    faults.clear()
    assert ([0.3] * 5, 0.0) == (before, faults.take_latency_s())


def test_faults_of_different_kinds_stand_together() -> None:
    faults = Faults()
    faults.set({"code": "9999", "drop": "after", "count": 1})
    assert ("9999", "after", "") == (faults.take_code(), faults.take_drop(), faults.take_drop())


def test_clearing_leaves_the_counters() -> None:
    faults = Faults()
    faults.calls, faults.charged = 3, 2
    faults.clear()
    assert {"faults": {}, "calls": 3, "charged": 2} == faults.describe()


def test_a_description_says_what_is_left() -> None:
    clock = Clock()
    faults = Faults(clock)
    faults.set({"code": "1005", "for_s": 60})
    clock.now_s = 20
    assert {"code": {"value": "1005", "count": None, "for_s": 40.0}} == faults.describe()["faults"]


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"count": 1},
        {"code": "0000"},
        {"code": 9980},
        {"code": "99"},
        {"latency_s": -1},
        {"latency_s": "1"},
        {"drop": "during"},
        {"code": "9980", "count": 0},
        {"code": "9980", "count": True},
        {"code": "9980", "times": 1},
    ],
)
def test_what_is_no_fault_is_refused(wanted: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be|give one of"):
        Faults().set(wanted)
