from decimal import Decimal
from pathlib import Path

import pytest

from hmt_pass.errors import SettingsError
from hmt_pass.signing import TimestampUnit
from worker.settings import BrokerSettings, LogFormat, Send, Settings

NEEDED = {"HMT_PASS_API_ID": "an-id", "HMT_PASS_API_SECRET": "hush"}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*Settings.model_fields, "redis_url", "broker_url"):
        for variable in (f"HMT_PASS_{name.upper()}", name.upper()):
            monkeypatch.delenv(variable, raising=False)


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in {**NEEDED, **variables}.items():
        monkeypatch.setenv(name, value)
    return Settings.load()


def test_all_problems_are_reported_at_once_by_the_names_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HMT_PASS_API_SECRET", "")
    monkeypatch.setenv("HMT_PASS_ENDPOINT_URL", "cloudapi.linkface.cn")
    monkeypatch.setenv("HMT_PASS_CONCURRENCY", "many")
    monkeypatch.setenv("HMT_PASS_SEND", "fax")
    monkeypatch.setenv("REDIS_URL", "localhost:6379")
    monkeypatch.setenv("BROKER_URL", "sqs://")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    lines = str(caught.value).splitlines()
    assert "the environment needs attention:" == lines[0]
    assert {
        "- HMT_PASS_API_ID",
        "- HMT_PASS_API_SECRET",
        "- HMT_PASS_ENDPOINT_URL",
        "- HMT_PASS_CONCURRENCY",
        "- HMT_PASS_SEND",
        "- REDIS_URL",
        "- BROKER_URL",
    } == {line.split(":")[0] for line in lines[1:]}


def test_a_problem_does_not_show_the_secret_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "http://:hush@host")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert "hush" not in f"{caught.value!r} {caught.value.__cause__} {caught.value.__context__}"


def test_two_variables_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    assert ("an-id", "https://cloudapi.linkface.cn", "redis://localhost:6379/0") == (
        settings.api_id,
        settings.endpoint_url,
        settings.redis,
    )
    assert settings.redis == settings.broker


def test_every_variable_is_read_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "HMT_PASS_ENDPOINT_URL": "http://127.0.0.1:8000/",
        "HMT_PASS_TIMESTAMP_UNIT": "s",
        "HMT_PASS_SEND": "base64",
        "REDIS_URL": "redis://states",
        "BROKER_URL": "rediss://broker",
        "HMT_PASS_RESULTS_BUCKET": "results",
        "HMT_PASS_RESULTS_PREFIX": "",
        "HMT_PASS_CONCURRENCY": "4",
        "HMT_PASS_CONNECT_TIMEOUT_S": "1.5",
        "HMT_PASS_READ_TIMEOUT_S": "2.5",
        "HMT_PASS_TOTAL_TIMEOUT_S": "3.5",
        "HMT_PASS_STORAGE_TIMEOUT_S": "4.5",
        "HMT_PASS_MAX_ATTEMPTS": "5",
        "HMT_PASS_MAX_POSSIBLY_CHARGED": "1",
        "HMT_PASS_RETRY_BASE_S": "0.5",
        "HMT_PASS_RETRY_CAP_S": "6.5",
        "HMT_PASS_MAX_AGE_S": "7.5",
        "HMT_PASS_VISIBILITY_TIMEOUT_S": "600",
        "HMT_PASS_DEDUPE_WINDOW_S": "0",
        "HMT_PASS_RESULT_TTL_S": "10",
        "HMT_PASS_STATUS_TTL_S": "11",
        "HMT_PASS_DEAD_LETTER_TTL_S": "0",
        "HMT_PASS_ARCHIVE_BUCKET": "archive",
        "HMT_PASS_ARCHIVE_PREFIX": "",
        "HMT_PASS_PRICE_PER_CALL": "0.12",
        "HMT_PASS_LOG_FORMAT": "console",
        "HMT_PASS_RATE_PER_S": "7.5",
        "HMT_PASS_MAX_IN_FLIGHT": "8",
        "HMT_PASS_CANARY_AFTER_S": "1, 2.5",
        "HMT_PASS_HOLD_AFTER_FAILURES": "9",
        "HMT_PASS_BUDGET_DAY": "100",
        "HMT_PASS_BUDGET_MONTH": "2000",
        "HMT_PASS_BILLING_UTC_OFFSET_H": "-5.5",
        "HMT_PASS_METRICS_HOST": "0.0.0.0",
        "HMT_PASS_METRICS_PORTS": "9540-9542",
    }
    settings = load(
        monkeypatch, **{name: str(TimestampUnit.SECONDS) if value == "s" else value for name, value in given.items()}
    )
    expected = {
        "endpoint_url": "http://127.0.0.1:8000",
        "timestamp_unit": TimestampUnit.SECONDS,
        "send": Send.BASE64,
        "redis": "redis://states",
        "broker": "rediss://broker",
        "results_bucket": "results",
        "results_prefix": "",
        "concurrency": 4,
        "connect_timeout_s": 1.5,
        "read_timeout_s": 2.5,
        "total_timeout_s": 3.5,
        "storage_timeout_s": 4.5,
        "max_attempts": 5,
        "max_possibly_charged": 1,
        "retry_base_s": 0.5,
        "retry_cap_s": 6.5,
        "max_age_s": 7.5,
        "visibility_timeout_s": 600,
        "dedupe_window_s": 0,
        "result_ttl_s": 10,
        "status_ttl_s": 11,
        "dead_letter_ttl_s": 0,
        "archive_bucket": "archive",
        "archive_prefix": "",
        "price_per_call": Decimal("0.12"),
        "log_format": LogFormat.CONSOLE,
        "rate_per_s": 7.5,
        "max_in_flight": 8,
        "canary_after_s": (1.0, 2.5),
        "hold_after_failures": 9,
        "budget_day": Decimal(100),
        "budget_month": Decimal(2000),
        "billing_utc_offset_h": -5.5,
        "metrics_host": "0.0.0.0",
        "metrics_ports": (9540, 9541, 9542),
    }
    assert expected == {name: getattr(settings, name) for name in expected}
    named = {name.removeprefix("HMT_PASS_").lower() for name in {**given, **NEEDED}}
    assert set(Settings.model_fields) == named


def test_secrets_and_passwords_are_masked_in_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, REDIS_URL="redis://:hush@a", BROKER_URL="redis://:hush@b")
    assert "hush" not in f"{settings!r} {settings} {settings.model_dump()}"
    assert "hush" == settings.api_secret.get_secret_value()


def test_settings_do_not_change_while_a_process_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    with pytest.raises(ValueError, match="frozen"):
        settings.concurrency = 1  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HMT_PASS_CONCURRENCY", "0"),
        ("HMT_PASS_CONCURRENCY", "513"),
        ("HMT_PASS_MAX_ATTEMPTS", "0"),
        ("HMT_PASS_MAX_POSSIBLY_CHARGED", "0"),
        ("HMT_PASS_RETRY_CAP_S", "inf"),
        ("HMT_PASS_RETRY_BASE_S", "0"),
        ("HMT_PASS_READ_TIMEOUT_S", "nan"),
        ("HMT_PASS_DEDUPE_WINDOW_S", "-1"),
        ("HMT_PASS_RESULT_TTL_S", "0"),
        ("HMT_PASS_DEAD_LETTER_TTL_S", "-1"),
        ("HMT_PASS_PRICE_PER_CALL", "-0.1"),
        ("HMT_PASS_PRICE_PER_CALL", "cheap"),
        ("HMT_PASS_ENDPOINT_URL", "http://"),
        ("REDIS_URL", "redis://host:port/0"),
        ("HMT_PASS_METRICS_PORTS", "9540-"),
        ("HMT_PASS_METRICS_PORTS", "9547-9540"),
        ("HMT_PASS_METRICS_PORTS", "0"),
        ("HMT_PASS_METRICS_PORTS", "9540-65536"),
        ("HMT_PASS_METRICS_PORTS", "9540,9541"),
    ],
)
def test_a_value_out_of_its_range_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load(monkeypatch, **{name: value})


@pytest.mark.parametrize("timeout_s", ["1", "nan", "86400"])
def test_a_visibility_timeout_that_no_heartbeat_can_keep_up_with_is_refused(
    monkeypatch: pytest.MonkeyPatch, timeout_s: str
) -> None:
    with pytest.raises(SettingsError, match="HMT_PASS_VISIBILITY_TIMEOUT_S"):
        load(monkeypatch, HMT_PASS_VISIBILITY_TIMEOUT_S=timeout_s)


def test_a_total_below_the_time_to_connect_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="HMT_PASS_TOTAL_TIMEOUT_S must not be below"):
        load(monkeypatch, HMT_PASS_TOTAL_TIMEOUT_S="1")


def test_a_job_is_not_overdue_before_all_that_it_waits_for_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    assert settings.deadline_s > settings.total_timeout_s + 2 * settings.storage_timeout_s


def test_what_is_left_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, HMT_PASS_ARCHIVE_BUCKET="", HMT_PASS_PRICE_PER_CALL="")
    assert (None, None) == (settings.archive_bucket, settings.price_per_call)


@pytest.mark.parametrize(("text", "expected"), [("", ()), ("9540", (9540,)), ("65535", (65535,))])
def test_a_worker_is_watched_on_a_port_or_nowhere(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: tuple[int, ...]
) -> None:
    assert expected == load(monkeypatch, HMT_PASS_METRICS_PORTS=text).metrics_ports


def test_flower_needs_the_broker_and_no_account() -> None:
    assert "redis://localhost:6379/0" == BrokerSettings.load().broker


def test_a_budget_needs_a_price(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="need HMT_PASS_PRICE_PER_CALL"):
        load(monkeypatch, HMT_PASS_BUDGET_DAY="100")


@pytest.mark.parametrize("text", ["", "1,,2", "0", "soon", "inf"])
def test_canaries_are_sent_after_numbers_of_seconds(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(SettingsError, match="HMT_PASS_CANARY_AFTER_S"):
        load(monkeypatch, HMT_PASS_CANARY_AFTER_S=text)


def test_an_empty_price_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, HMT_PASS_PRICE_PER_CALL="").price_per_call is None
