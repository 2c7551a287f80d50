import json
from typing import Any

import pytest
from click.testing import CliRunner
from fakes import API_SECRET, World, reply

from hmt_pass.errors import NotConnectedError, StoreError
from worker import doctor
from worker.__main__ import main
from worker.doctor import Finding, examine
from worker.settings import Settings

HEALTHY: dict[str, Any] = {
    "redis_version": "7.2.5",
    "maxmemory_policy": "noeviction",
    "used_memory": 12_000_000,
    "maxmemory": 256_000_000,
    "aof_enabled": 1,
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World.create(monkeypatch, results_bucket="results")
    monkeypatch.setattr(Settings, "load", lambda: world.services.settings)
    monkeypatch.setattr(doctor, "build", lambda _settings: world.services)
    monkeypatch.setattr("hmt_pass.store.Store.info", lambda _store: HEALTHY, raising=False)
    _synced(monkeypatch, "always")
    world.script(reply("1014"))
    return world


def _synced(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    monkeypatch.setattr("hmt_pass.store.Store.config_get", lambda _store, name: {name: when}, raising=False)


def failed(findings: list[Finding]) -> dict[str, str]:
    return {finding.subject: finding.text for finding in findings if not finding.ok}


@pytest.mark.usefixtures("world")
def test_a_healthy_system_has_no_failed_finding() -> None:
    findings = examine()
    assert {} == failed(findings)
    subjects = [finding.subject for finding in findings]
    assert ["settings", *["redis"] * 4, *["broker"] * 4, "clock", "storage", "archive", "endpoint"] == subjects


def test_the_endpoint_is_asked_for_an_image_that_cannot_exist_which_is_never_charged(world: World) -> None:
    examine()
    [call] = world.client.calls
    assert ("0" * 32, None, 0) == (call["image_id"], call["image"], world.client.charges)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"redis_version": "5.0.14"}, "answers, version 5.0.14"),
        ({"maxmemory_policy": "allkeys-lru"}, "maxmemory-policy allkeys-lru"),
        ({"used_memory": 231_000_000}, "231 of 256 MB used"),
        ({"aof_enabled": 0}, "append-only file off"),
    ],
)
def test_a_redis_that_would_lose_or_refuse_jobs_is_found(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], text: str
) -> None:
    monkeypatch.setattr("hmt_pass.store.Store.info", lambda _store: {**HEALTHY, **change}, raising=False)
    findings = examine()
    assert {"redis": text, "broker": text} == failed(findings)
    assert all(finding.cure for finding in findings if not finding.ok)


@pytest.mark.usefixtures("world")
def test_a_redis_without_a_limit_is_never_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hmt_pass.store.Store.info", lambda _store: {**HEALTHY, "maxmemory": 0}, raising=False)
    findings = examine()
    assert {} == failed(findings)
    assert "12 MB used, maxmemory unlimited" in {finding.text for finding in findings if finding.subject == "broker"}


@pytest.mark.usefixtures("world")
def test_a_redis_that_answers_before_it_syncs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    _synced(monkeypatch, "everysec")
    text = "append-only file on, appendfsync everysec"
    assert {"redis": text, "broker": text} == failed(examine())


@pytest.mark.usefixtures("world")
def test_a_managed_redis_that_refuses_to_tell_its_configuration_is_taken_at_its_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_store: object, _name: str) -> None:
        raise StoreError("Redis: unknown command 'CONFIG'")

    monkeypatch.setattr("hmt_pass.store.Store.config_get", refuse, raising=False)
    findings = examine()
    assert {} == failed(findings)
    texts = {finding.text for finding in findings if finding.subject == "redis"}
    assert "append-only file on, appendfsync unknown: this Redis refuses CONFIG GET" in texts


@pytest.mark.usefixtures("world")
def test_a_redis_that_is_down_is_found_and_the_rest_is_checked_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(_store: object) -> None:
        raise StoreError("Redis: connection refused")

    monkeypatch.setattr("hmt_pass.store.Store.info", down, raising=False)
    assert {"redis", "broker"} == set(failed(examine()))


@pytest.mark.usefixtures("world")
def test_a_clock_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hmt_pass.store.Store.time", lambda _store: (0, 0), raising=False)
    assert {"clock"} == set(failed(examine()))


def test_a_bucket_that_does_not_exist_is_found(world: World) -> None:
    world.storage.buckets.clear()
    assert {"storage": "s3://results", "archive": "s3://results"} == failed(examine())


def test_missing_credentials_are_found_when_results_go_to_each_images_bucket(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.services.settings, "__dict__", {**vars(world.services.settings), "results_bucket": None})
    world.storage.credentials = False
    assert {"storage": "S3 answers; results go to each image's bucket"} == failed(examine())


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (reply("1000"), "answers 1000, the signature does not match"),
        (reply("9980"), "answers 9980, the account has no money left"),
        (NotConnectedError("no connection to endpoint.example"), "no connection to endpoint.example"),
    ],
    ids=["1000", "9980", "not connected"],
)
def test_an_account_or_endpoint_that_does_not_work_is_found(world: World, answer: Any, text: str) -> None:  # noqa: ANN401  a reply or an error
    world.script(answer)
    assert {"endpoint": text} == failed(examine())


def test_wrong_settings_end_the_examination_with_every_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HMT_PASS_API_ID", "HMT_PASS_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    [finding] = examine()
    assert (False, "settings") == (finding.ok, finding.subject)
    assert "HMT_PASS_API_ID" in finding.text
    assert "HMT_PASS_API_SECRET" in finding.text


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_PROFILE", "no-such-profile"), ("AWS_ENDPOINT_URL_S3", "localhost:9000"), ("REDIS_URL", "redis://a:b/0")],
)
def test_an_environment_that_a_library_refuses_is_a_finding_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("HMT_PASS_API_ID", "an-id")
    monkeypatch.setenv("HMT_PASS_API_SECRET", API_SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(doctor, "_run", lambda *_: [])
    assert not all(finding.ok for finding in examine())


def test_the_command_prints_a_line_a_finding_and_says_what_to_do(world: World) -> None:
    world.storage.credentials = False
    outcome = CliRunner().invoke(main, ["doctor"])
    assert (1, True) == (outcome.exit_code, "FAILED  storage    bucket results answers -> give AWS" in outcome.output)
    assert "ok      endpoint   answers 1014" in outcome.output


@pytest.mark.usefixtures("world")
def test_the_command_prints_json() -> None:
    outcome = CliRunner().invoke(main, ["doctor", "--json"])
    findings = json.loads(outcome.output)
    assert (0, "settings", True) == (outcome.exit_code, findings[0]["subject"], findings[0]["ok"])
    assert API_SECRET not in outcome.output
