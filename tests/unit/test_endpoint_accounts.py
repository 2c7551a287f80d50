"""Who may call, and what an account may still do."""

import asyncio
from dataclasses import replace
from datetime import date, datetime

import pytest

from hmt_pass import signing
from hmt_pass.codes import Code
from hmt_pass.endpoint.accounts import Account, Accounts
from hmt_pass.endpoint.accounts.register import Booking
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.parameters import Parameters
from hmt_pass.errors import SettingsError

ACCOUNT = Account("an-account", "a-secret")
NOW_S = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def signed(**changes: str) -> Parameters:
    timestamp = changes.get("timestamp", "1700000000000")
    sign = signing.sign("an-account", "a-secret", timestamp)
    return Parameters({"api_id": "an-account", "timestamp": timestamp, "sign": sign} | changes)


def end(booking: Booking, answer: Code) -> None:
    if answer is not Code.OK:
        raise RefusedError(answer)
    booking.charge()


async def book(accounts: Accounts, account: Account, answer: Code = Code.OK) -> Code:
    """One call that the endpoint means to answer so: what the caller is answered."""
    try:
        async with accounts.booking(account) as booking:
            await asyncio.sleep(0)  # others may come in meanwhile
            end(booking, answer)
    except RefusedError as refusal:
        return refusal.code
    return Code.OK


def answered(accounts: Accounts, account: Account, *answers: Code) -> list[Code]:
    """Calls one after the other: what each caller is answered."""

    async def calls() -> list[Code]:
        return [await book(accounts, account, answer) for answer in answers]

    return asyncio.run(calls())


@pytest.mark.parametrize("timestamp", ["1700000000", "1700000000000"])
def test_a_signed_call_is_accepted_in_seconds_and_milliseconds(timestamp: str) -> None:
    accounts = Accounts(ACCOUNT, now_s=Clock())
    assert ACCOUNT == accounts.authenticate(signed(timestamp=timestamp), 1.0)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"api_id": ""}, Code.BAD_REQUEST),
        ({"timestamp": ""}, Code.BAD_REQUEST),
        ({"sign": ""}, Code.BAD_REQUEST),
        ({"timestamp": "yesterday"}, Code.BAD_REQUEST),
        ({"timestamp": "١٧٠٠٠٠٠٠٠٠"}, Code.BAD_REQUEST),
        ({"api_id": "another"}, Code.BAD_ACCOUNT),
        ({"api_id": "another", "sign": "0" * 64}, Code.BAD_ACCOUNT),
        ({"sign": "0" * 64}, Code.BAD_SIGNATURE),
        ({"sign": "签"}, Code.BAD_SIGNATURE),
    ],
)
def test_a_call_of_nobody_is_refused(changes: dict[str, str], code: Code) -> None:
    with pytest.raises(RefusedError) as caught:
        Accounts(ACCOUNT).authenticate(signed(**changes), None)
    assert code is caught.value.code


@pytest.mark.parametrize("timestamp", ["1699999939", "1700000061000"])
def test_an_old_or_early_signature_is_1000_and_only_the_log_says_why(
    timestamp: str, caplog: pytest.LogCaptureFixture
) -> None:
    accounts = Accounts(ACCOUNT, now_s=Clock())
    with pytest.raises(RefusedError) as caught:
        accounts.authenticate(signed(timestamp=timestamp), 60.0)
    assert (Code.BAD_SIGNATURE, "") == (caught.value.code, caught.value.reason)
    assert "an-account" in caplog.text
    assert "61 s from this clock, 60 s allowed" in caplog.text


def test_a_wrong_signature_is_not_explained_however_old_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RefusedError):
        Accounts(ACCOUNT, now_s=Clock()).authenticate(signed(timestamp="1600000000", sign="0" * 64), 60.0)
    assert "" == caplog.text


def test_without_a_window_a_signature_is_good_for_ever() -> None:
    assert ACCOUNT == Accounts(ACCOUNT, now_s=Clock()).authenticate(signed(timestamp="1000000000"), None)


def test_the_account_comes_from_the_environment() -> None:
    environment = {"HMT_PASS_API_ID": "an-account", "HMT_PASS_API_SECRET": "a-secret"}
    assert Accounts.from_environment(environment).authenticate(signed(), None) == ACCOUNT


def test_every_missing_name_is_reported_at_once() -> None:
    with pytest.raises(SettingsError, match="HMT_PASS_API_ID and HMT_PASS_API_SECRET"):
        Accounts.from_environment({})


@pytest.mark.parametrize("name", ["HMT_PASS_API_ID", "HMT_PASS_API_SECRET"])
@pytest.mark.parametrize("text", ["a\nb", "a\n", " a", "\x7f"])
def test_what_the_file_refuses_the_environment_is_refused_too(name: str, text: str) -> None:
    environment = {"HMT_PASS_API_ID": "an-account", "HMT_PASS_API_SECRET": "a-secret"} | {name: text}
    with pytest.raises(SettingsError, match=f"^{name} must be a text of printable characters"):
        Accounts.from_environment(environment)


def test_the_secret_is_in_no_repr() -> None:
    assert "a-secret" not in repr(ACCOUNT)


def test_an_account_without_limits_is_never_refused() -> None:
    assert [Code.OK] * 100 == answered(Accounts(ACCOUNT), ACCOUNT, *[Code.OK] * 100)


@pytest.mark.parametrize(
    ("expires", "code"),
    [
        (date(2023, 11, 13), Code.ACCOUNT_EXPIRED),
        (date(2023, 11, 14), Code.OK),
        (date(9999, 12, 31), Code.OK),
        (datetime.fromisoformat("2023-11-15T06:13:20+08:00"), Code.ACCOUNT_EXPIRED),
        (datetime.fromisoformat("2023-11-15T06:13:21+08:00"), Code.OK),
    ],
)
def test_an_account_lasts_through_its_last_day_or_until_its_moment(expires: date, code: Code) -> None:
    account = replace(ACCOUNT, expires=expires)
    assert [code] == answered(Accounts(account, now_s=Clock()), account, Code.OK)


def test_the_reason_of_1008_names_the_day() -> None:
    with pytest.raises(RefusedError) as caught:
        replace(ACCOUNT, expires=date(2023, 11, 13)).require_open(NOW_S)
    assert "the account was valid until 2023-11-13" == caught.value.reason


def test_the_refusals_come_in_their_order() -> None:
    """Each cause that is put right uncovers the next one."""
    account = Account("an-account", "a-secret", date(2023, 1, 1), frozenset(), 0, 0, 1.0, restricted=True)
    repairs: list[dict[str, object]] = [
        {},
        {"expires": None},
        {"restricted": False},
        {"rights": frozenset({"hmt_pass"})},
        {"rate_per_s": None},
        {"quota": None},
        {"balance": None},
    ]
    codes = []
    for repair in repairs:
        account = replace(account, **repair)  # type: ignore[arg-type]
        accounts = Accounts(account, now_s=Clock())
        codes.append(answered(accounts, account, Code.OK, Code.OK)[1])
    assert ["1008", "1027", "1011", "1009", "1010", "9980", "0000"] == [code.value for code in codes]


def test_a_quota_counts_every_call_and_a_balance_only_paid_ones() -> None:
    account = replace(ACCOUNT, quota=4, balance=2)
    wanted = [Code.NOT_AN_IMAGE, Code.OK, Code.DOWNLOAD_TIMEOUT, Code.OK, Code.OK]
    assert [*wanted[:4], Code.QUOTA_EXCEEDED] == answered(Accounts(account), account, *wanted)


def test_an_unpaid_call_leaves_the_balance_as_it_was() -> None:
    account = replace(ACCOUNT, balance=1)
    wanted = [Code.NOT_AN_IMAGE, Code.NOT_AN_IMAGE, Code.OK, Code.OK]
    assert [*wanted[:3], Code.NO_BALANCE] == answered(Accounts(account), account, *wanted)


def test_a_call_that_is_not_charged_in_the_end_uses_quota_alone() -> None:
    account = replace(ACCOUNT, quota=2, balance=1)
    accounts = Accounts(account)

    async def free() -> None:
        async with accounts.booking(account):
            pass

    asyncio.run(free())
    assert [Code.OK, Code.QUOTA_EXCEEDED] == answered(accounts, account, Code.OK, Code.OK)


@pytest.mark.parametrize("undone", [Code.RATE_EXCEEDED, Code.SERVER_ERROR])
def test_a_call_that_the_endpoint_did_not_do_uses_no_quota(undone: Code) -> None:
    account = replace(ACCOUNT, quota=1)
    assert [undone, Code.OK, Code.QUOTA_EXCEEDED] == answered(Accounts(account), account, undone, Code.OK, Code.OK)


def test_a_call_that_breaks_after_it_was_charged_is_not_charged() -> None:
    account = replace(ACCOUNT, quota=1, balance=1)
    accounts = Accounts(account)

    async def breaks() -> None:
        async with accounts.booking(account) as booking:
            booking.charge()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(breaks())
    assert [Code.OK] == answered(accounts, account, Code.OK)


def test_fifty_calls_at_once_on_a_balance_of_one_are_charged_once() -> None:
    account = replace(ACCOUNT, balance=1)
    accounts = Accounts(account)

    async def together() -> list[Code]:
        return await asyncio.gather(*(book(accounts, account) for _ in range(50)))

    assert [Code.OK, *[Code.NO_BALANCE] * 49] == asyncio.run(together())


def test_calls_under_way_count_as_used_until_they_end() -> None:
    account = replace(ACCOUNT, quota=2)
    accounts = Accounts(account)

    async def calls() -> list[Code]:
        async with accounts.booking(account):
            return [await book(accounts, account, answer) for answer in (Code.SERVER_ERROR, Code.OK, Code.OK)]

    assert [Code.SERVER_ERROR, Code.OK, Code.QUOTA_EXCEEDED] == asyncio.run(calls())


@pytest.mark.parametrize(
    ("rate_per_s", "calls_at_s", "let_in"),
    [
        (3, [0, 0, 0, 0], [True, True, True, False]),
        (3, [0, 0, 0, 0.34, 0.34], [True, True, True, True, False]),
        (2.5, [0, 0, 0, 0.3], [True, True, False, True]),
        (0.5, [0, 1, 1.9, 2, 3.9, 4], [True, False, False, True, False, True]),
        (1, [0, -60, -59, -58], [True, False, True, True]),
        (1, [0, 3600, 3600], [True, True, False]),
    ],
)
def test_a_rate_lets_in_a_second_s_worth_at_once_and_then_evenly(
    rate_per_s: float, calls_at_s: list[float], let_in: list[bool]
) -> None:
    clock = Clock()
    account = replace(ACCOUNT, rate_per_s=rate_per_s)
    accounts = Accounts(account, now_s=clock)
    codes = []
    for at_s in calls_at_s:
        clock.now_s = NOW_S + at_s
        codes += answered(accounts, account, Code.OK)
    assert [Code.OK if accepted else Code.RATE_EXCEEDED for accepted in let_in] == codes


def test_a_call_refused_for_its_rate_uses_no_quota() -> None:
    clock = Clock()
    account = replace(ACCOUNT, rate_per_s=1, quota=2)
    accounts = Accounts(account, now_s=clock)
    refused = answered(accounts, account, Code.OK, Code.OK)
    clock.now_s += 1
    assert [Code.OK, Code.RATE_EXCEEDED, Code.OK] == refused + answered(accounts, account, Code.OK)


def test_one_account_s_limits_are_not_another_s() -> None:
    poor, other = replace(ACCOUNT, balance=0), Account("another", "another-secret", balance=1)
    accounts = Accounts(poor, other)
    assert [Code.NO_BALANCE] == answered(accounts, poor, Code.OK)
    assert [Code.OK, Code.NO_BALANCE] == answered(accounts, other, Code.OK, Code.OK)
