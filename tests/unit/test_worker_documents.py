"""Every result document that the worker can write fits the published schema."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import BUCKET, PERMIT, World, reply
from jsonschema import Draft202012Validator

from hmt_pass.errors import NotConnectedError, UnansweredError
from hmt_pass.job import Job

SCHEMA = Path(__file__).parents[2] / "docs" / "result.schema.json"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


def recognized(world: World) -> Job:
    job = world.job()
    world.run(job)
    return job


def recognized_with_a_version(world: World) -> Job:
    world.storage.versioned = {BUCKET}
    job = world.job(key=["a.jpg", "versionId=v1"][0], flag=3)
    world.run(job)
    return job


def recognized_with_little_to_read(world: World) -> Job:
    job = world.job()
    world.script(reply(data={"nameChn": "欧阳试样", "birthday": "29 Feb", "image_id": "0a", "score": 0.9}, charge=None))
    world.run(job)
    return job


def recognized_after_failures(world: World) -> Job:
    job = world.job()
    world.script(reply("1005"), NotConnectedError("refused"), UnansweredError("timed out"), reply("1009"), reply())
    for _ in range(4):
        world.run(job)
    world.store.delete("hmt_pass:pause")
    world.run(job)
    return job


def recognized_after_a_worker_died(world: World) -> Job:
    job = world.job()
    world.services.calls.begin(world.services.claims.claim(job))
    world.let_the_claim_expire(job)
    world.run(job)
    return job


def copied(world: World) -> Job:
    world.run(world.job(key="1.jpg"))
    job = world.job(key="2.jpg")
    world.run(job)
    return job


def rejected_by_the_endpoint(world: World) -> Job:
    job = world.job()
    world.script(reply("1004", image="file"))
    world.run(job)
    return job


def rejected_here(world: World) -> Job:
    job = world.job()
    world.storage.put(BUCKET, "a.jpg", b"%PDF-1.7")
    world.run(job)
    return job


def rejected_before_it_was_read(world: World) -> Job:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.recognize.MAX_INPUT_BYTES", 100)
        job = world.job()
        world.run(job)
    return job


ENDS = [
    recognized,
    recognized_with_a_version,
    recognized_with_little_to_read,
    recognized_after_failures,
    recognized_after_a_worker_died,
    copied,
    rejected_by_the_endpoint,
    rejected_here,
    rejected_before_it_was_read,
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_a_document_fits_the_schema(world: World, validator: Draft202012Validator, end: Callable[[World], Job]) -> None:
    document = world.stored(end(world))
    assert [] == [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


@pytest.mark.parametrize(
    "change", [{"state": "queued"}, {"job_id": None}, {"hmt_flag": 4}, {"schema": "another/1"}, {"attempts": None}]
)
def test_the_schema_refuses_what_is_no_result(
    world: World, validator: Draft202012Validator, change: dict[str, Any]
) -> None:
    document = {**world.stored(recognized(world)), **change}
    assert not validator.is_valid(document)


def test_a_document_has_the_fields_raw_and_normalised_and_names_what_does_not_parse(world: World) -> None:
    document = world.stored(recognized_with_little_to_read(world))
    assert {"nameChn": "欧阳试样", "birthday": "29 Feb"} == {k: v for k, v in document["permit"].items() if v}
    assert (set(PERMIT), ["birthday"], {"score": 0.9}, "0a") == (
        set(document["permit"]),
        document["unparsed"],
        document["extra"],
        document["image_id"],
    )
    assert {None} == set(document["normalised"].values())


def test_a_document_tells_every_attempt(world: World) -> None:
    attempts = world.stored(recognized_after_failures(world))["attempts"]
    assert [1, 2, 3, 4, 5] == [attempt["attempt"] for attempt in attempts]
    assert ["1005", None, None, "1009", "0000"] == [attempt["code"] for attempt in attempts]
    assert [None, "not connected", "unanswered", None, None] == [attempt["error"] for attempt in attempts]
    assert [False, False, True, False, False] == [attempt["possibly_charged"] for attempt in attempts]
    assert all(attempt["started_at"] <= attempt["ended_at"] for attempt in attempts)


def test_every_attempt_has_the_same_keys_even_if_its_worker_died(world: World) -> None:
    died, read = world.stored(recognized_after_a_worker_died(world))["attempts"]
    assert set() == read.keys() - died.keys()
