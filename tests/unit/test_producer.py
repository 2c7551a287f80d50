"""The producer over a Redis and a broker in memory; tests/contract has the real ones."""

import time
from collections.abc import Iterator
from typing import Any

import fakeredis
import pytest
from celery import current_app
from fakes import World, fake_store, reply
from kombu.exceptions import OperationalError

from hmt_pass import keys, producer
from hmt_pass.errors import InvalidJobError, JobConflictError, NotEnqueuedError
from hmt_pass.job import Job
from hmt_pass.producer import Producer
from hmt_pass.status import State
from hmt_pass.store import Store

IMAGE = "s3://photos/a.jpg"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What the producer publishes, as (queue, kwargs)."""
    messages: list[tuple[str, dict[str, Any]]] = []

    def send_task(_app: object, name: str, *, kwargs: dict[str, Any], queue: str, **_: object) -> None:
        assert "hmt_pass.recognize" == name
        messages.append((queue, kwargs))

    monkeypatch.setattr("celery.Celery.send_task", send_task)
    return messages


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that only sleeping moves; the pauses slept so far."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: sum(pauses))
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses  # type: ignore[return-value]  # no teardown


def test_an_enqueued_job_is_registered_and_published(world: World, sent: list[Any]) -> None:
    job_id = world.producer.enqueue(IMAGE, flag=3, etag='"e"', lane="bulk")
    job = Job.create(IMAGE, 3, etag="e", lane="bulk")
    assert job.job_id == job_id
    assert [("hmt_pass.bulk", {"image": IMAGE, "hmt_flag": 3, "etag": "e"})] == sent
    status = world.producer.status(job_id)
    assert (State.QUEUED, IMAGE, 3, "bulk", 0) == (
        status.state,
        status.image,
        status.hmt_flag,
        status.lane,
        status.attempts,
    )
    assert status.enqueued_at is not None
    assert -1 == world.store.ttl(keys.job(job_id))


def test_what_cannot_be_a_job_is_refused_before_anything_is_written(world: World, sent: list[Any]) -> None:
    with pytest.raises(InvalidJobError):
        world.producer.enqueue("a.jpg")
    with pytest.raises(InvalidJobError):
        world.producer.enqueue(IMAGE, flag=9)
    assert ([], []) == (sent, world.store.keys("*"))


def test_an_id_that_stands_for_another_image_or_flag_is_refused(world: World, sent: list[Any]) -> None:
    world.producer.enqueue(IMAGE, job_id="mine")
    for image, flag in (("s3://photos/b.jpg", 0), (IMAGE, 1)):
        with pytest.raises(JobConflictError, match="mine"):
            world.producer.enqueue(image, flag=flag, job_id="mine")
    assert 1 == len(sent)
    assert IMAGE == world.producer.status("mine").image


def test_a_pinned_job_that_is_finished_is_not_published_again(world: World, sent: list[Any]) -> None:
    job = world.job()
    etag = world.storage.put("photos", "a.jpg", b"one")
    world.store.hset(keys.job(job.job_id), "state", "recognized")
    pinned = world.producer.enqueue(IMAGE, etag=etag)
    world.store.hset(keys.job(pinned), "state", "recognized")
    assert pinned == world.producer.enqueue(IMAGE, etag=etag)
    assert (1, State.RECOGNIZED) == (len(sent), world.producer.status(pinned).state)


def test_an_unpinned_job_that_is_finished_is_queued_again(world: World, sent: list[Any]) -> None:
    job = world.job()
    world.run(job)
    world.producer.enqueue(IMAGE)
    status = world.producer.status(job.job_id)
    assert (1, State.QUEUED, None, None) == (len(sent), status.state, status.finished_at, status.reason)
    assert -1 == world.store.ttl(keys.job(job.job_id))


@pytest.mark.parametrize("state", ["running", "retrying"])
def test_a_job_under_way_keeps_its_state_and_its_count(world: World, sent: list[Any], state: str) -> None:
    job = world.job()
    world.script(reply("9999"))
    world.run(job)
    world.store.hset(keys.job(job.job_id), "state", state)
    before = world.fields(job)
    world.producer.enqueue(IMAGE)
    assert {**before, "generation": "1", "enqueues": "2"} == world.fields(job)
    assert 1 == len(sent)


def test_a_new_enqueue_gives_a_dead_job_a_new_budget(world: World, sent: list[Any]) -> None:
    job = world.job()
    world.script(reply("9999"), reply("1001"))
    world.run(job)
    world.run(job)
    world.producer.enqueue(IMAGE)
    fields = world.fields(job)
    assert ("2", "2", "queued") == (fields["attempts"], fields["attempts_before"], fields["state"])
    assert set() == fields.keys() & {"failures", "snoozes", "reason", "first_failure_at", "possibly_charged"}
    assert 1 == len(sent)


def test_many_are_enqueued_in_order_with_progress(
    world: World, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "BATCH", 2)
    progress: list[int] = []
    images = [f"s3://photos/{number}.jpg" for number in range(5)]
    job_ids = list(world.producer.enqueue_many([*images[:4], (images[4], {"lane": "bulk"})], progress.append))
    assert [Job.create(image).job_id for image in images] == job_ids
    assert [2, 4, 5] == progress
    assert (["hmt_pass"] * 4 + ["hmt_pass.bulk"], images) == (
        [queue for queue, _ in sent],
        [kwargs["image"] for _, kwargs in sent],
    )


def test_many_are_accepted_batch_by_batch_until_one_is_wrong(world: World, sent: list[Any]) -> None:
    progress: list[int] = []
    images = [f"s3://photos/{number}.jpg" for number in range(producer.BATCH + 10)]
    with pytest.raises(InvalidJobError):
        world.producer.enqueue_many([*images, "no reference"], progress.append)
    assert (producer.BATCH, [producer.BATCH]) == (len(sent), progress)


def test_a_conflict_in_a_batch_does_not_keep_the_others_from_their_queue(world: World, sent: list[Any]) -> None:
    world.producer.enqueue(IMAGE, job_id="taken")
    with pytest.raises(JobConflictError, match="taken"):
        world.producer.enqueue_many([IMAGE, ("s3://photos/b.jpg", {"job_id": "taken"}), "s3://photos/c.jpg"])
    assert 3 == len(sent)


def test_an_own_job_id_with_another_etag_is_another_image(world: World, sent: list[Any]) -> None:
    world.producer.enqueue(IMAGE, job_id="mine", etag='"abc"')
    world.producer.enqueue(IMAGE, job_id="mine", etag="abc")
    with pytest.raises(JobConflictError):
        world.producer.enqueue(IMAGE, job_id="mine", etag="def")
    assert 2 == len(sent)


def test_a_redis_that_is_down_takes_no_job(monkeypatch: pytest.MonkeyPatch, sent: list[Any]) -> None:
    server = fakeredis.FakeServer(server_type="redis")
    server.connected = False
    monkeypatch.setattr(producer, "connect", lambda *_: fake_store(server))
    with pytest.raises(NotEnqueuedError, match="Redis"):
        Producer("redis://fake", "memory://").enqueue(IMAGE)
    assert [] == sent


def test_a_broker_that_is_down_takes_no_job(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("celery.Celery.send_task", refused)
    with pytest.raises(NotEnqueuedError, match="the broker did not take the job: connection refused"):
        world.producer.enqueue(IMAGE, job_id="mine")
    assert State.UNKNOWN is world.producer.status("mine").state


def test_a_broker_that_fails_leaves_the_state_of_a_job_that_waits_already(
    world: World, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.producer.enqueue(IMAGE, job_id="mine")

    def refused(*_: object, **__: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("celery.Celery.send_task", refused)
    with pytest.raises(NotEnqueuedError):
        world.producer.enqueue(IMAGE, job_id="mine")
    assert (State.QUEUED, 1) == (world.producer.status("mine").state, len(sent))


def test_a_job_is_held_while_the_account_is_on_hold(world: World, sent: list[Any]) -> None:
    world.services.hold.open("no money", by="a test")
    job_id = world.producer.enqueue(IMAGE)
    assert (State.HELD, 1) == (world.producer.status(job_id).state, len(sent))


def test_a_result_is_there_while_redis_keeps_it(world: World) -> None:
    job = world.job()
    assert world.producer.result(job.job_id) is None
    world.run(job)
    assert world.stored(job) == world.producer.result(job.job_id)


def test_waiting_ends_with_the_final_status(world: World, clock: list[float]) -> None:
    job = world.job()
    world.run(job)
    assert (State.RECOGNIZED, []) == (world.producer.wait(job.job_id).state, clock)


@pytest.mark.usefixtures("sent")
def test_waiting_asks_less_and_less_often_and_gives_up_in_time(world: World, clock: list[float]) -> None:
    job_id = world.producer.enqueue(IMAGE)
    with pytest.raises(TimeoutError, match="is queued after 10 s; it goes on, ask again later"):
        world.producer.wait(job_id, timeout_s=10)
    assert 10 == pytest.approx(sum(clock))  # it looks once more when the time is up
    assert (0.05, 1.0) == (clock[0], max(clock))
    assert clock[:-1] == sorted(clock[:-1])


def test_the_apps_own_celery_app_stays_the_current_one(world: World) -> None:
    before = current_app.main
    assert world.producer is not None
    assert before == current_app.main != "hmt_pass.producer"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ("redis://localhost:6379/0", "redis://localhost:6379/0")),
        ({"REDIS_URL": "redis://a"}, ("redis://a", "redis://a")),
        ({"REDIS_URL": "redis://a", "BROKER_URL": "redis://b"}, ("redis://a", "redis://b")),
    ],
)
def test_the_addresses_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: tuple[str, str]
) -> None:
    for name in ("REDIS_URL", "BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    connected: list[str] = []
    brokers: list[str] = []

    def connect(url: str, _timeout_s: float) -> Store:
        connected.append(url)
        return fake_store()

    monkeypatch.setattr(producer, "connect", connect)
    monkeypatch.setattr(producer, "Publishers", lambda _app, url: brokers.append(url))
    Producer()
    assert (*expected,) == (*connected, *brokers)


def test_the_modules_functions_share_one_producer(
    world: World, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_URL", "memory://")
    producer.default.cache_clear()
    job_id = producer.enqueue(IMAGE)
    assert [job_id] == list(producer.enqueue_many([IMAGE]))
    world.store.hset(keys.job(job_id), "state", "dead")
    assert (State.DEAD, State.DEAD) == (producer.status(job_id).state, producer.wait(job_id).state)
    assert producer.result(job_id) is None
    assert producer.default() is producer.default()
    assert 2 == len(sent)
    producer.default.cache_clear()
