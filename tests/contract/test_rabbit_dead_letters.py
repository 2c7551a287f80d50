"""How queue and index of the dead letters on RabbitMQ come back into step, whatever came between."""

import json
from dataclasses import replace

import pytest
from brokers import RabbitBroker
from fakes import fake_store, message_of
from sides import Side, on_rabbitmq

from hmt_pass import keys
from hmt_pass.errors import StoreError
from hmt_pass.job import DEAD_LETTER_QUEUE, Job, Lane
from hmt_pass.queues import DELIVERY_LIMIT
from local.stage import until
from worker.letters import DeadLetter
from worker.rabbitmq import tidying
from worker.rabbitmq.dead_letters import RabbitDeadLetters

LETTER = DeadLetter("one", "object missing", "2026-11-25T10:00:00.000+00:00", image="s3://photos/one.jpg", hmt_flag=3)
LONG_AGO = 1.0  # Unix time


@pytest.fixture
def side(rabbit: RabbitBroker) -> Side:
    return on_rabbitmq(rabbit, fake_store())


@pytest.fixture
def letters(side: Side) -> RabbitDeadLetters:
    assert isinstance(side.dead_letters, RabbitDeadLetters)
    return side.dead_letters


def job(name: str = "one") -> Job:
    return Job.create(f"s3://photos/{name}.jpg", job_id=name, flag=3, lane=Lane.BULK)


def put(letters: RabbitDeadLetters, *names: str) -> None:
    for name in names:
        letters.put(replace(LETTER, job_id=name), message_of(job(name)), LONG_AGO)


def lying(side: Side) -> list[str]:
    return [message.headers["id"] for message in side.look(DEAD_LETTER_QUEUE)]


def test_after_the_loss_of_redis_the_queue_has_everything(side: Side, letters: RabbitDeadLetters) -> None:
    put(letters, "one", "two")
    side.store.flushall()
    assert 2 == letters.keep_in_step()
    assert ([replace(LETTER, job_id=name) for name in ("one", "two")], ["one", "two"]) == (
        sorted(letters.list(), key=lambda letter: letter.job_id),
        lying(side),
    )
    assert ("dead", 1) == (side.store.hget(keys.job("one"), "state"), side.redrive("one"))
    assert ["one"] == [message.headers["id"] for message in side.look("hmt_pass.bulk")]


def test_after_the_loss_of_the_queue_the_index_has_everything(
    side: Side, letters: RabbitDeadLetters, rabbit: RabbitBroker
) -> None:
    put(letters, "one", "two")
    with letters.rabbit.channel() as channel:
        channel.queue_delete(DEAD_LETTER_QUEUE)
    fresh = on_rabbitmq(RabbitBroker(rabbit.server), side.store).dead_letters
    assert (2, 0) == (fresh.keep_in_step(), fresh.keep_in_step())
    assert ["one", "two"] == sorted(lying(side))


def test_what_rabbitmq_gave_up_becomes_a_dead_letter(side: Side, letters: RabbitDeadLetters) -> None:
    letters.declare()
    side.queues.publish(message_of(job()))
    for _ in range(DELIVERY_LIMIT + 1):
        side.look("hmt_pass.bulk")
    assert until(lambda: letters.rabbit.depth(DEAD_LETTER_QUEUE), 10)
    assert 1 == letters.keep_in_step()
    letter = letters.find("one")
    assert ("delivered too often", "s3://photos/one.jpg", 3, "RabbitMQ gave it up in hmt_pass.bulk") == (
        (letter.reason, letter.image, letter.hmt_flag, letter.detail) if letter else None
    )
    assert ("dead", 0) == (side.store.hget(keys.job("one"), "state"), letters.keep_in_step())
    side.redrive("one")
    letters.keep_in_step()
    assert ([], ["one"]) == (lying(side), [message.headers["id"] for message in side.look("hmt_pass.bulk")])


def test_a_redrive_that_was_cut_short_leaves_the_dead_letter(
    side: Side, letters: RabbitDeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(letters, "one")

    def cut(**_: object) -> int:
        raise StoreError("Redis: gone")

    with monkeypatch.context() as patch:
        patch.setattr(letters, "_take", cut)
        with pytest.raises(StoreError):
            side.redrive("one")
    assert (["one"], LETTER) == (lying(side), letters.find("one"))
    assert 1 == side.move("june-outage")


def test_a_put_that_was_cut_short_is_superseded_by_the_next(
    side: Side, letters: RabbitDeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(letters, "_index", lambda _: None)
        put(letters, "one")
    side.store.hset(keys.job("one"), "state", "queued")
    assert (0, ["one"]) == (letters.keep_in_step(), lying(side))  # its message comes again
    put(letters, "one")
    assert (1, ["one"]) == (letters.keep_in_step(), lying(side))


def test_a_put_that_was_cut_short_goes_when_its_job_came_to_another_end(
    side: Side, letters: RabbitDeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(letters, "_index", lambda _: None)
        put(letters, "one")
    side.store.hset(keys.job("one"), "state", "recognized")
    assert (1, []) == (letters.keep_in_step(), lying(side))


def test_a_put_that_is_under_way_is_left_alone(
    letters: RabbitDeadLetters, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying.time, "time", lambda: LONG_AGO + tidying.SETTLED_AFTER_S - 1)
    monkeypatch.setattr(letters, "_index", lambda _: None)
    put(letters, "one")
    assert (0, ["one"], 0) == (letters.keep_in_step(), lying(side), letters.count())


def test_one_process_tidies_at_a_time(side: Side, letters: RabbitDeadLetters) -> None:
    put(letters, "one")
    letters.discard("one")
    side.store.set(keys.REDRIVE_RUNS, "june-outage a-token")
    assert (0, ["one"]) == (letters.keep_in_step(), lying(side))  # it tidies at its end
    side.store.delete(keys.REDRIVE_RUNS)
    side.store.set(keys.DEAD_LETTERS_TIDIED, "1")
    assert (0, ["one"]) == (letters.keep_in_step(), lying(side))
    side.store.delete(keys.DEAD_LETTERS_TIDIED)
    assert (1, [], []) == (letters.keep_in_step(), lying(side), side.store.keys("*"))


def test_a_queue_is_gone_through_that_holds_more_than_a_consumer_is_given_at_once(
    side: Side, letters: RabbitDeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.rabbitmq.dead_letters.PREFETCH", 3)
    names = [f"job-{number}" for number in range(10)]
    put(letters, *names)
    letters.discard("job-9")
    assert (1, names[:9], 0) == (letters.keep_in_step(), sorted(lying(side)), letters.keep_in_step())


def test_what_somebody_else_wrote_there_is_a_dead_letter_too(side: Side, letters: RabbitDeadLetters) -> None:
    with letters.rabbit.confirmed() as publisher:
        letters.declare()
        publisher.publish(b"\xff not json", routing_key=DEAD_LETTER_QUEUE, content_type="text/plain")
    letters.keep_in_step()
    [letter] = letters.list()
    assert ("delivered too often", True, None) == (letter.reason, letter.job_id.startswith("invalid-"), letter.image)
    [message] = side.look(DEAD_LETTER_QUEUE)
    assert b"\xff not json" == message.body


def test_an_entry_holds_what_is_needed_to_redrive(side: Side, letters: RabbitDeadLetters) -> None:
    put(letters, "one")
    entry = json.loads(side.store.hget(keys.DEAD_LETTERS, "one") or "")
    assert {"letter", "message", "score", "put_id"} == set(entry)
