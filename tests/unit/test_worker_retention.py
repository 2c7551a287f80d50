import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from commands import die
from fakes import World

from hmt_pass import keys
from hmt_pass.errors import ObjectDeniedError, SettingsError, StorageError
from hmt_pass.job import ImageRef
from worker.archive import Archive
from worker.housekeeping import Housekeeping
from worker.retention import Retention

TTL_S = 1000


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch, dead_letter_ttl_s=TTL_S, archive_bucket="results")


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Of the log: the name of each event, and its reason."""
    heard: list[tuple[str, str]] = []

    def hear(event: str, reason: str = "", **_: object) -> None:
        heard.append((event, reason))

    monkeypatch.setattr("worker.retention.log", SimpleNamespace(info=hear, warning=hear))
    return heard


def expire(world: World, after_s: float = TTL_S + 10) -> int:
    world.store.delete(keys.DEAD_LETTERS_EXPIRY)
    return Retention(world.services, world.services.archive, lambda: time.time() + after_s).expire()


def archived(world: World) -> list[dict[str, Any]]:
    found = [key for bucket, key in world.storage.objects if bucket == "results"]
    texts = [world.storage.get(ImageRef("results", key), 1 << 20).body.decode() for key in sorted(found)]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_what_is_too_old_is_archived_with_its_message_and_dropped(world: World, events: list[tuple[str, str]]) -> None:
    for name in ("one", "two"):
        die(world, name)
    [shown, _] = [letter.as_dict() for letter in world.services.dead_letters.list()]
    world.store.zadd(keys.DEAD_LETTERS_BY_TIME, {"one": 5.0})
    assert (1, [("dead_letters.expired", "")]) == (expire(world, after_s=0), events)
    [line] = archived(world)
    message = line.pop("message")
    assert {**shown, "put_at": 5.0} == line
    assert ("one", "hmt_pass") == (message["headers"]["id"], message["queue"])
    [(bucket, key)] = [place for place in world.storage.objects if place[0] == "results"]
    assert ("results", True) == (bucket, key.startswith("hmt-pass-archive/dead-letters/20"))
    assert ["two"] == [letter.job_id for letter in world.services.dead_letters.list()]
    assert 0 < world.store.ttl(keys.job("one")) <= world.services.settings.status_ttl_s


def test_many_go_in_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.retention.CHUNK", 2)
    for number in range(5):
        die(world, f"job-{number}")
    assert (5, 5, 0) == (expire(world), len(archived(world)), world.services.dead_letters.count())
    assert 3 == sum(bucket == "results" for bucket, _ in world.storage.objects)


@pytest.mark.parametrize(
    "error", [StorageError("s3://results: EndpointConnectionError"), ObjectDeniedError("s3://results: 403")]
)
def test_what_s3_does_not_take_stays_and_somebody_is_told(
    world: World, error: StorageError | ObjectDeniedError, events: list[tuple[str, str]]
) -> None:
    die(world, "one")
    world.storage.put_error = error
    assert (0, 1) == (expire(world), world.services.dead_letters.count())
    assert [("dead_letters.kept", str(error))] == events
    world.storage.put_error = None
    assert 1 == expire(world)


def test_without_a_bucket_everything_stays(monkeypatch: pytest.MonkeyPatch, events: list[tuple[str, str]]) -> None:
    world = World.create(monkeypatch, dead_letter_ttl_s=TTL_S)
    die(world, "one")
    assert (0, 1) == (expire(world), world.services.dead_letters.count())
    assert "HMT_PASS_ARCHIVE_BUCKET" in events[0][1]


def test_a_retention_of_0_keeps_them_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.create(monkeypatch, dead_letter_ttl_s=0, archive_bucket="results")
    die(world, "one")
    assert (0, 1) == (expire(world, after_s=1e9), world.services.dead_letters.count())


def test_one_worker_of_the_fleet_does_it(world: World) -> None:
    die(world, "one")
    world.store.set(keys.DEAD_LETTERS_EXPIRY, "another-host:7")
    retention = Retention(world.services, world.services.archive, lambda: time.time() + TTL_S + 10)
    assert (0, 1) == (retention.expire(), world.services.dead_letters.count())


def test_a_letter_that_is_redriven_while_it_is_archived_goes_its_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(world, "one")
    keep = Archive.keep

    def redriven_meanwhile(*arguments: Any) -> str:  # noqa: ANN401  passed on
        world.redrive("one")
        return keep(*arguments)

    monkeypatch.setattr(Archive, "keep", redriven_meanwhile)
    assert 0 == expire(world)
    assert (1, -1) == (world.store.llen("hmt_pass"), world.store.ttl(keys.job("one")))


def test_housekeeping_does_it(world: World) -> None:
    die(world, "one")
    world.store.zadd(keys.DEAD_LETTERS_BY_TIME, {"one": 5.0})
    Housekeeping(world.services).make_rounds()
    assert (0, 1) == (world.services.dead_letters.count(), len(archived(world)))


def test_an_archive_without_a_bucket_says_which_settings_name_one(world: World) -> None:
    with pytest.raises(SettingsError, match="HMT_PASS_ARCHIVE_BUCKET or HMT_PASS_RESULTS_BUCKET"):
        Archive(world.services.storage, None, "archive/").keep("ledger", "2026-11", [{"a": 1}])


def test_an_archive_says_where_the_lines_are(world: World) -> None:
    archive = Archive(world.services.storage, "results", "archive/")
    assert "s3://results/archive/ledger/2026-11.jsonl" == archive.keep("ledger", "2026-11", [{"a": 1}, {"b": "证"}])
    assert (
        '{"a": 1}\n{"b": "证"}\n'
        == world.storage.get(ImageRef("results", "archive/ledger/2026-11.jsonl"), 99).body.decode()
    )
