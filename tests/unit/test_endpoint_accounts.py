"""Who may call, and what an account may still do."""

import pytest

from hmt_pass import signing
from hmt_pass.codes import Code
from hmt_pass.endpoint.accounts import Account, Accounts
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.parameters import Parameters
from hmt_pass.errors import SettingsError

ACCOUNT = Account("an-account", "a-secret")


def signed(**changes: str) -> Parameters:
    timestamp = changes.get("timestamp", "1700000000000")
    sign = signing.sign("an-account", "a-secret", timestamp)
    return Parameters({"api_id": "an-account", "timestamp": timestamp, "sign": sign} | changes)


@pytest.mark.parametrize("timestamp", ["1700000000", "1700000000000"])
def test_a_signed_call_is_accepted_in_seconds_and_milliseconds(timestamp: str) -> None:
    Accounts(ACCOUNT).authenticate(signed(timestamp=timestamp), None)


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
        Accounts(ACCOUNT).authenticate(signed(**changes), None)
    assert code is caught.value.code


def test_the_account_comes_from_the_environment() -> None:
    environment = {"HMT_PASS_API_ID": "an-account", "HMT_PASS_API_SECRET": "a-secret"}
    assert Accounts.from_environment(environment).authenticate(signed(), None) == ACCOUNT


def test_every_missing_name_is_reported_at_once() -> None:
    with pytest.raises(SettingsError, match="HMT_PASS_API_ID and HMT_PASS_API_SECRET"):
        Accounts.from_environment({})


def test_the_secret_is_in_no_repr() -> None:
    assert "a-secret" not in repr(ACCOUNT)
