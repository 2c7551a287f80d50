import threading
from decimal import Decimal

import pytest
from commands import die
from fakes import BUCKET, World, jpeg, message_of

from hmt_pass import keys
from hmt_pass.errors import ObjectDeniedError, StorageError
from hmt_pass.job import Job
from hmt_pass.status import State
from worker.letters import DeadLetter
from worker.plans import Plan, Verdict, plan


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


def planned(world: World, *, checks_sources: bool = True) -> Plan:
    return plan(world.services, world.services.dead_letters.select(), checks_sources=checks_sources)


def verdict_on(world: World, job: Job) -> Verdict:
    [verdict] = [verdict for verdict, letters in planned(world).letters.items() if job.job_id in dict(letters)]
    return verdict


def test_a_dead_job_whose_photo_is_there_is_eligible(world: World) -> None:
    assert Verdict.ELIGIBLE is verdict_on(world, die(world, "one"))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.RECOGNIZED, Verdict.FINISHED),
        (State.REJECTED, Verdict.FINISHED),
        (State.QUEUED, Verdict.OPEN),
        (State.RUNNING, Verdict.OPEN),
        (State.RETRYING, Verdict.OPEN),
    ],
)
def test_a_job_that_is_not_dead_any_more_is_left_alone(world: World, state: State, expected: Verdict) -> None:
    job = die(world, "one")
    world.store.hset(keys.job("one"), "state", state)
    assert expected is verdict_on(world, job)


def test_a_job_whose_state_is_lost_is_eligible(world: World) -> None:
    job = die(world, "one")
    world.store.delete(keys.job("one"))
    assert Verdict.ELIGIBLE is verdict_on(world, job)


def test_a_photo_that_is_gone_or_may_not_be_read_is_found_before(world: World) -> None:
    job = die(world, "one")
    world.storage.objects.clear()
    assert Verdict.SOURCE_GONE is verdict_on(world, job)
    world.storage.get_error = ObjectDeniedError("s3://photos/one.jpg: S3 answered 403")
    assert Verdict.SOURCE_DENIED is verdict_on(world, job)


def test_a_photo_that_changed_since_the_job_was_enqueued_is_found_before(world: World) -> None:
    etag = world.storage.put(BUCKET, "one.jpg", jpeg("one"))
    world.producer.enqueue(f"s3://{BUCKET}/one.jpg", job_id="one", etag=etag)
    job = Job.create(f"s3://{BUCKET}/one.jpg", job_id="one", etag=etag)
    world.storage.put(BUCKET, "one.jpg", jpeg("two"))
    world.run(job)
    assert Verdict.SOURCE_CHANGED is verdict_on(world, job)
    world.storage.put(BUCKET, "one.jpg", jpeg("one"))
    assert Verdict.ELIGIBLE is verdict_on(world, job)


@pytest.mark.parametrize("image", [None, "s3://photos/one.jpg"])
def test_what_can_never_be_run_would_die_again(world: World, image: str | None) -> None:
    job = world.job(key="one.jpg", job_id="one")
    letter = DeadLetter("one", "invalid job", "2026-11-26T10:00:00.000+00:00", image=image)
    world.services.dead_letters.put(letter, message_of(job), 1.0)
    assert Verdict.FUTILE is verdict_on(world, job)


@pytest.mark.parametrize(("image", "expected"), [(None, Verdict.ELIGIBLE), ("file:///one", Verdict.FUTILE)])
def test_a_message_without_a_photo_to_look_for(world: World, image: str | None, expected: Verdict) -> None:
    job = world.job(key="one.jpg", job_id="one")
    letter = DeadLetter("one", "delivered too often", "2026-11-26T10:00:00.000+00:00", image=image)
    world.services.dead_letters.put(letter, message_of(job), 1.0)
    assert expected is verdict_on(world, job)


def test_a_reply_that_is_paid_for_costs_no_call_and_needs_no_photo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World.create(monkeypatch, price_per_call=Decimal("0.05"))
    for name in ("one", "two", "three"):
        die(world, name)
    world.store.set(keys.receipt("one"), "{}")
    world.storage.objects.pop((BUCKET, "one.jpg"))
    found = planned(world)
    assert (3, 1, 2, Decimal("0.10")) == (len(found.eligible), found.paid, found.calls, found.cost)


def test_without_a_price_there_is_no_cost(world: World) -> None:
    die(world, "one")
    assert (1, None) == (planned(world).calls, planned(world).cost)
    assert planned(world).as_dict()["expected_cost"] is None


def test_when_s3_does_not_answer_there_is_no_plan_with_a_source_check(world: World) -> None:
    die(world, "one")
    world.storage.get_error = StorageError("s3://photos/one.jpg: EndpointConnectionError")
    with pytest.raises(StorageError):
        planned(world)
    assert 1 == len(planned(world, checks_sources=False).eligible)


def test_photos_are_looked_for_at_the_same_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        die(world, f"job-{number}")
    together = threading.Barrier(4, timeout=10)
    monkeypatch.setattr(type(world.storage), "check_image", lambda *_: together.wait())
    assert 4 == len(planned(world).eligible)
