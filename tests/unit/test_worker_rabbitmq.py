"""What RabbitMQ changes in a worker, without one. tests/contract has the real thing."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from celery.exceptions import Reject, Retry
from fakes import World, fake_settings, message_of
from kombu import Exchange

from hmt_pass.errors import StoreError
from hmt_pass.job import Job
from hmt_pass.queues import dead_letter_queue, tls, work_queues
from hmt_pass.rabbit import Rabbit
from worker.celery import app, configure
from worker.doctor import examine
from worker.letters import DeadLetter
from worker.puts import Put
from worker.rabbitmq.dead_letters import RabbitDeadLetters
from worker.rabbitmq.delays import RabbitDelays
from worker.rabbitmq.queues import RabbitQueues
from worker.rabbitmq.tidying import SETTLED_AFTER_S, Tidying, Verdict
from worker.settling import Settling

URL = "amqp://me:hush@rabbit//"
NOW = 1_000_000.0
LETTER = DeadLetter("one", "a reason", "2026-11-25T10:00:00.000+00:00")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


def test_celery_is_told_what_rabbitmq_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(app.conf)
    monkeypatch.setenv("BROKER_URL", URL)
    try:
        configure(app)
        conf = app.conf
        assert {"topic"} == {queue.exchange.type for queue in conf.task_queues}
        assert (None, 2, "quorum") == (
            conf.broker_transport,
            conf.worker_prefetch_multiplier,
            conf.broker_native_delayed_delivery_queue_type,
        )
        assert "queue_order_strategy" not in conf.broker_transport_options
    finally:
        app.conf.update(before)


def test_queues_survive_a_restart_refuse_when_full_and_give_up_into_the_dead_letters() -> None:
    for queue in work_queues(URL):
        arguments = cast("dict[str, Any]", queue.queue_arguments)
        assert ("quorum", "reject-publish", "at-least-once", "hmt_pass.dead_letter") == (
            arguments["x-queue-type"],
            arguments["x-overflow"],
            arguments["x-dead-letter-strategy"],
            arguments["x-dead-letter-routing-key"],
        )
        assert (True, Exchange("hmt_pass", type="topic")) == (queue.durable, queue.exchange)
    assert cast("dict[str, Any]", dead_letter_queue().queue_arguments)["x-delivery-limit"] > 10**9


def test_a_certificate_must_be_the_hosts_own() -> None:
    assert ({"server_hostname": None}, False) == (tls("amqps://rabbit"), tls("amqp://rabbit"))


@pytest.mark.parametrize(
    ("is_set_aside", "end"), [(lambda _: True, Retry), (lambda _: False, Reject)], ids=["rabbitmq", "redis"]
)
def test_without_redis_a_message_is_set_aside_where_a_delivery_counts(
    world: World, monkeypatch: pytest.MonkeyPatch, is_set_aside: object, end: type[Exception]
) -> None:
    monkeypatch.setattr(type(world.services.delayed), "set_aside", lambda _self, message: is_set_aside(message))  # type: ignore[operator]
    settling = Settling(world.services, message_of(Job.create("s3://photos/a.jpg")), "one")
    with pytest.raises(end):
        settling.give_back(StoreError("Redis: gone"))


def test_without_both_the_message_is_given_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_self: object, _message: object) -> bool:
        raise StoreError("RabbitMQ: gone")

    monkeypatch.setattr(type(world.services.delayed), "set_aside", gone)
    settling = Settling(world.services, message_of(Job.create("s3://photos/a.jpg")), "one")
    with pytest.raises(Reject):
        settling.give_back(StoreError("Redis: gone"))


def tidying(index: dict[str, str] | None = None, gone: set[str] | None = None, state: str | None = None) -> Tidying:
    return Tidying(index or {}, frozenset(gone or set()), lambda _: state, NOW)


def put(put_id: str, ago_s: float = SETTLED_AFTER_S + 1) -> Put:
    return Put(LETTER, message_of(Job.create("s3://photos/a.jpg", job_id="one")), NOW - ago_s, put_id)


@pytest.mark.parametrize(
    ("expected", "found", "case"),
    [
        (Verdict.STAYS, put("a"), tidying(index={"one": "a"})),
        (Verdict.GOES, put("a", ago_s=0), tidying(gone={"a"})),
        (Verdict.GOES, put("a"), tidying(index={"one": "b"})),
        (Verdict.STAYS, put("a", ago_s=1), tidying(index={"one": "b"})),
        (Verdict.STAYS, put("a", ago_s=1), tidying()),
        (Verdict.UNKNOWN, put("a"), tidying()),
        (Verdict.UNKNOWN, put("a"), tidying(state="dead")),
        (Verdict.STAYS, put("a"), tidying(state="running")),
        (Verdict.GOES, put("a"), tidying(state="recognized")),
        (Verdict.UNKNOWN, put("", ago_s=0), tidying(state="queued")),
        (Verdict.GOES, put("", ago_s=0), tidying(state="rejected")),
        (Verdict.GOES, put("", ago_s=0), tidying(index={"one": "a"})),
    ],
    ids=[
        "indexed",
        "redriven or discarded",
        "superseded",
        "about to be indexed in place of another",
        "about to be indexed",
        "Redis lost everything",
        "Redis lost the index",
        "cut short, and the job was delivered again",
        "cut short, and the job came to another end",
        "given up by RabbitMQ",
        "given up by RabbitMQ after its end",
        "given up by RabbitMQ and dead already",
    ],
)
def test_what_becomes_of_a_message_on_the_dead_letter_queue(expected: Verdict, found: Put, case: Tidying) -> None:
    assert expected == case.judge(found)


def test_a_second_copy_of_a_dead_letter_goes_and_one_that_was_not_seen_is_lost() -> None:
    case = tidying(index={"one": "a", "two": "b"})
    assert [Verdict.STAYS, Verdict.GOES] == [case.judge(put("a")), case.judge(put("a"))]
    assert {"two"} == case.lost


def test_a_put_survives_its_entry() -> None:
    original = put("a")
    assert original == Put.from_entry(original.to_json()) == Put.from_entry(original.envelope())


@pytest.mark.parametrize(("version", "ok"), [("3.10.8", True), ("4.1.0", True), ("3.9.29", False)])
def test_the_doctor_looks_at_version_and_queues(
    world: World, monkeypatch: pytest.MonkeyPatch, version: str, ok: bool
) -> None:
    rabbit = Rabbit(URL)
    letters = RabbitDeadLetters(rabbit, RabbitQueues(rabbit, URL), world.store, died=lambda *_: None)
    monkeypatch.setattr("worker.doctor.build", lambda _: replace(world.services, dead_letters=letters))
    monkeypatch.setattr("worker.doctor.Settings.load", fake_settings)
    monkeypatch.setattr("hmt_pass.rabbit.Rabbit.version", lambda _: version)
    monkeypatch.setattr(RabbitDeadLetters, "declare", lambda _: None)
    assert [ok, True] == [finding.ok for finding in examine() if finding.subject == "broker"]


def test_a_wait_is_told_in_utc(world: World) -> None:
    delays = RabbitDelays(cast("Any", None), URL, world.store)
    world.store.zadd("hmt_pass:delayed", {"one": datetime(2026, 11, 25, 10, tzinfo=UTC).timestamp()})
    assert "2026-11-25T10:00:00.000+00:00" == delays.due_at("one")
