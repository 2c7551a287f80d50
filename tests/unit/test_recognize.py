"""Every disposition of the design through the whole task: what the endpoint or S3 says, and where the job ends."""

import time
from dataclasses import dataclass, replace

import pytest
from fakes import BUCKET, Answer, World, jpeg, reply

from hmt_pass import keys
from hmt_pass.codes import Code, meaning
from hmt_pass.errors import (
    HmtPassError,
    NotConnectedError,
    ObjectDeniedError,
    ObjectMissingError,
    StorageError,
    UnansweredError,
    UnreadableReplyError,
)
from hmt_pass.job import Job
from hmt_pass.permit import Flag
from hmt_pass.status import State

REJECTING = ["1004", "1013", "1014", "1015", "1016"]
RETRIED = ["1005", "1006", "9990", "9999"]
DEAD = ["1001", "1002", "1003", "4711"]
HELD = ["1000", "1007", "1008", "1010", "1011", "1012", "1027", "9980"]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


@dataclass(frozen=True, slots=True)
class End:
    """Where one run left its job."""

    end: str
    state: State
    dead_letter: bool = False
    on_hold: bool = False
    delayed: bool = False
    failures: int = 0


def end_of(world: World, job: Job, *answers: Answer) -> End:
    world.script(*answers)
    end = world.run(job).end
    state = State(world.fields(job)["state"])
    failures = int(world.fields(job).get("failures", 0))
    letter = world.services.dead_letters.find(job.job_id)
    return End(end, state, letter is not None, world.services.hold.is_on(), world.is_delayed(job), failures)


def test_a_photo_is_read_and_its_fields_are_stored(world: World) -> None:
    job = world.job()

    run = world.run(job)

    assert {"job_id": job.job_id, "state": "recognized", "code": "0000"} == run.returned
    assert "欧阳试样" == world.stored(job)["permit"]["nameChn"]
    assert world.stored(job) == world.result(job)
    assert (State.RECOGNIZED, 1, "0000") == (
        world.status(job).state,
        world.status(job).attempts,
        world.status(job).code,
    )
    assert f"s3://{BUCKET}/hmt-pass/{job.job_id}.json" == world.status(job).result


def test_the_endpoint_is_given_the_photo_the_flag_and_a_sequence_id(world: World) -> None:
    job = world.job(flag=Flag.TAIWAN)
    world.run(job)
    [call] = world.client.calls
    send_until_s = call.pop("send_until_s")
    assert 0 < send_until_s - time.monotonic() <= world.services.settings.visibility_timeout_s
    assert {"image": jpeg(), "flag": Flag.TAIWAN, "sequence_id": f"{job.job_id}-1"} == call


def test_the_result_goes_to_the_bucket_and_prefix_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.create(monkeypatch, results_bucket="results", results_prefix="ocr/")
    job = world.job()
    world.run(job)
    assert f"s3://results/ocr/{job.job_id}.json" == world.status(job).result
    assert ("results", f"ocr/{job.job_id}.json") in world.storage.objects


def test_what_a_finished_job_leaves_in_redis_expires(world: World) -> None:
    job = world.job()
    world.run(job)
    fleets = ("hmt_pass:books:", "hmt_pass:calls:")  # the ledger is archived; the rate is one hash
    kept = {key: world.store.ttl(key) for key in world.store.scan_iter() if not key.startswith(fleets)}
    week_s, day_s = 7 * 24 * 3600, 24 * 3600
    [content] = world.store.scan_iter("hmt_pass:content:*")
    expected = {
        keys.job(job.job_id): week_s,
        keys.attempts(job.job_id): week_s,
        keys.result(job.job_id): day_s,
        content: day_s,
    }
    assert expected == kept


@pytest.mark.parametrize("code", REJECTING)
def test_a_fault_of_the_image_is_a_stored_final_result(world: World, code: str) -> None:
    job = world.job()
    assert End("done", State.REJECTED) == end_of(world, job, reply(code))
    assert (code, None, "rejected") == tuple(world.stored(job)[name] for name in ("code", "permit", "state"))
    assert (code, f"TID-{code}") == (world.status(job).code, world.status(job).request_id)
    assert meaning(code) == world.status(job).reason


@pytest.mark.parametrize("code", RETRIED)
def test_a_transient_code_waits_and_spends_an_attempt(world: World, code: str) -> None:
    assert End("delayed", State.RETRYING, delayed=True, failures=1) == end_of(world, world.job(), reply(code))


def test_too_many_calls_is_a_snooze_that_spends_nothing_and_slows_the_fleet_down(world: World) -> None:
    first, second = world.job("one", key="1.jpg"), world.job("two", key="2.jpg")
    assert End("delayed", State.QUEUED, delayed=True) == end_of(world, first, reply("1009"))
    assert "1" == world.store.hget(keys.RATE, "refused")
    assert "done" == world.run(second).end  # in its turn


def test_a_job_outlives_any_number_of_1009(world: World) -> None:
    job = world.job()
    world.script(*[reply("1009")] * 20)
    for _ in range(20):
        assert "delayed" == world.run(job).end
        world.store.delete(keys.RATE)
    assert "recognized" == (world.run(job).returned or {})["state"]


@pytest.mark.parametrize("code", DEAD)
def test_a_fault_of_the_job_is_a_dead_letter_and_holds_nobody(world: World, code: str) -> None:
    assert End("dead", State.DEAD, dead_letter=True) == end_of(world, world.job(), reply(code))


@pytest.mark.parametrize("code", HELD)
def test_a_fault_of_the_account_is_a_dead_letter_and_a_hold(world: World, code: str) -> None:
    job = world.job()
    assert End("dead", State.DEAD, dead_letter=True, on_hold=True) == end_of(world, job, reply(code))
    info = world.services.hold.info()
    assert info is not None
    assert (code, job.job_id, meaning(code)) == (info.code, info.job_id, info.reason)


@pytest.mark.parametrize(
    ("skew_s", "words"),
    [
        (601.2, "the signature does not match: our clock is 601 s behind the endpoint's; set the clock"),
        (-86.0, "the signature does not match: our clock is 86 s ahead of the endpoint's; set the clock"),
        (59.0, "the signature does not match"),
        (None, "the signature does not match"),
    ],
)
def test_a_bad_signature_is_explained_by_our_clock_if_that_is_the_cause(
    world: World, skew_s: float | None, words: str
) -> None:
    world.script(replace(reply("1000"), clock_skew_s=skew_s))
    world.run(world.job())
    info = world.services.hold.info()
    assert info is not None
    assert words == info.reason


def test_the_lists_above_name_every_code_of_the_text() -> None:
    assert {code.value for code in Code} == {"0000", "1009", *REJECTING, *RETRIED, *DEAD, *HELD} - {"4711"}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotConnectedError("refused"), End("delayed", State.RETRYING, delayed=True, failures=1)),
        (UnansweredError("timed out"), End("delayed", State.RETRYING, delayed=True, failures=1)),
        (UnreadableReplyError(502, "html"), End("delayed", State.RETRYING, delayed=True, failures=1)),
        (UnreadableReplyError(200, "html"), End("dead", State.DEAD, dead_letter=True)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_call_without_a_readable_answer_is_retried_unless_it_was_another_service(
    world: World, error: HmtPassError, expected: End
) -> None:
    assert expected == end_of(world, world.job(), error)


@pytest.mark.parametrize(
    ("error", "possibly_charged"),
    [(NotConnectedError("refused"), False), (UnansweredError("timed out"), True)],
)
def test_an_attempt_is_recorded_as_possibly_charged_unless_it_never_left(
    world: World, error: HmtPassError, possibly_charged: bool
) -> None:
    job = world.job()
    world.script(error)
    world.run(job)
    [attempt] = world.services.claims.attempts(job.job_id)
    assert (error.reason, possibly_charged, None) == (
        attempt["error"],
        attempt["possibly_charged"],
        attempt["code"],
    )


def test_a_job_may_be_possibly_charged_only_so_often(world: World) -> None:
    job = world.job()
    world.script(UnansweredError("one"), UnansweredError("two"))
    ends = [world.run(job).end for _ in range(3)]
    assert (["delayed", "delayed", "dead"], 2) == (ends, len(world.client.calls))
    assert "possibly charged too often" == world.status(job).reason


def test_a_job_that_keeps_failing_is_exhausted_and_says_why(world: World) -> None:
    job = world.job()
    world.script(*[reply("9999")] * 8)
    ends = [world.run(job).end for _ in range(8)]
    letter = world.services.dead_letters.find(job.job_id)
    assert ["delayed"] * 7 + ["dead"] == ends
    assert letter is not None
    assert ("exhausted: error inside the service", "9999", 8) == (letter.reason, letter.code, len(letter.attempts))
    assert not world.services.hold.is_on()


def test_a_job_that_is_too_old_is_exhausted_whatever_its_attempts(world: World) -> None:
    job = world.job()
    world.script(reply("9999"), reply("9999"))
    world.run(job)
    world.store.hset(keys.job(job.job_id), "first_failure_at", "2026-01-01T00:00:00.000+00:00")
    assert "dead" == world.run(job).end


@pytest.mark.parametrize(
    ("error", "end", "state"),
    [
        (ObjectMissingError("s3://photos/a.jpg"), "dead", State.DEAD),
        (ObjectDeniedError("s3://photos/a.jpg"), "delayed", State.RETRYING),
        (StorageError("s3://photos/a.jpg"), "delayed", State.RETRYING),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_s3_answers_decides_before_any_call(world: World, error: HmtPassError, end: str, state: State) -> None:
    job = world.job()
    world.storage.get_error = error
    assert (end, state) == (world.run(job).end, world.status(job).state)
    assert [] == world.client.calls


def test_an_outage_of_s3_does_not_exhaust_a_job_before_its_age_does(world: World) -> None:
    job = world.job()
    world.storage.get_error = StorageError("down")
    assert {"delayed"} == {world.run(job).end for _ in range(20)}
    world.storage.get_error = None
    assert "done" == world.run(job).end


def test_an_object_that_was_overwritten_since_it_was_pinned_is_not_read(world: World) -> None:
    job = world.job("a photo", etag="0" * 32)
    assert End("dead", State.DEAD, dead_letter=True) == end_of(world, job)
    assert ("object changed", []) == (world.status(job).reason, world.client.calls)


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"%PDF-1.7", "1015"), (jpeg(size_px=(8, 8)), "1016"), (jpeg()[:200], "1015")],
    ids=["no image", "too small", "cut off"],
)
def test_an_image_that_the_endpoint_would_refuse_is_rejected_without_a_call(
    world: World, body: bytes, code: str
) -> None:
    job = world.job()
    world.storage.put(BUCKET, "a.jpg", body)
    assert End("done", State.REJECTED) == end_of(world, job)
    assert (code, [], []) == (world.stored(job)["code"], world.stored(job)["attempts"], world.client.calls)


def test_an_object_that_is_too_large_to_read_is_rejected(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.recognize.MAX_INPUT_BYTES", 100)
    job = world.job()
    assert End("done", State.REJECTED) == end_of(world, job)
    assert "1013" == world.stored(job)["code"]


def test_0000_without_data_is_charged_and_dead_lettered(world: World) -> None:
    job = world.job()
    assert End("dead", State.DEAD, dead_letter=True) == end_of(world, job, reply(data=None))
    assert ("0000 without data", 1) == (world.status(job).reason, world.client.charges)
