"""What dead letters promise on every broker: Redis in memory, a real one, and RabbitMQ."""

from dataclasses import replace

import pytest
from fakes import message_of
from kombu import Connection
from sides import Side

from hmt_pass.job import Job, Lane
from hmt_pass.store import Store
from local.redis import RedisServer
from worker.dead_letters import HEADER, DeadLetter, DeadLetters

JOB = Job.create("s3://photos/证件 1.jpg", job_id="one")
LETTER = DeadLetter(
    "one",
    "the account has no money left",
    "2026-11-22T10:00:00.000+00:00",
    image="s3://photos/证件 1.jpg",
    hmt_flag=0,
    code="9980",
    msg="余额不足",
    request_id="TID-1",
    attempts=[{"attempt": 1, "code": "9980", "ms": 12.5, "error": None}],
    first_failure_at="2026-11-22T10:00:00.000+00:00",
    last_failure_at="2026-11-22T10:00:00.000+00:00",
    worker="a-host:1",
    worker_version="0.1.0",
)
QUEUE = "hmt_pass.dead_letter"


def put(side: Side, name: str, code: str | None = "9980", score: float = 1.0) -> None:
    job = Job.create(f"s3://photos/{name}.jpg", job_id=name)
    side.dead_letters.put(replace(LETTER, job_id=name, code=code), message_of(job), score)


def test_a_dead_letter_is_found_as_it_was_put(side: Side) -> None:
    side.dead_letters.put(LETTER, message_of(JOB), 1.0)
    assert LETTER == side.dead_letters.find("one")
    assert side.dead_letters.find("two") is None
    assert "the account has no money left" == LETTER.as_dict()["meaning"]
    assert replace(LETTER, code=None).as_dict()["meaning"] is None


def test_the_queue_holds_the_original_message_with_the_record_as_a_header(side: Side) -> None:
    side.dead_letters.put(LETTER, message_of(JOB), 1.0)
    [message] = side.look(QUEUE)
    assert JOB.kwargs == message.kwargs
    assert (LETTER.as_dict(), "one") == (message.headers[HEADER], message.headers["id"])


def test_a_job_has_one_record_and_one_message_however_often_it_is_put(side: Side) -> None:
    for number in range(3):
        side.dead_letters.put(replace(LETTER, reason=f"reason {number}"), message_of(JOB), float(number))
    side.dead_letters.keep_in_step()
    [letter] = side.dead_letters.list()
    assert ("reason 2", 1) == (letter.reason, side.dead_letters.count())
    [message] = side.look(QUEUE)
    assert "reason 2" == message.headers[HEADER]["reason"]


def test_looking_moves_nothing(side: Side) -> None:
    put(side, "one")
    put(side, "two")
    assert 2 == len(list(side.dead_letters.list()))
    side.dead_letters.find("one")
    assert (2, 0) == (side.dead_letters.count(), side.dead_letters.keep_in_step())
    assert ["one", "two"] == [message.headers["id"] for message in side.look(QUEUE)]


def test_dead_letters_come_oldest_first_and_by_code(side: Side) -> None:
    for name, code, score in (("late", "9980", 30.0), ("early", "1001", 10.0), ("middle", None, 20.0)):
        put(side, name, code, score)
    assert ["early", "middle", "late"] == [letter.job_id for letter in side.dead_letters.list()]
    assert ["late"] == [letter.job_id for letter in side.dead_letters.list("9980")]


def test_a_letter_that_goes_while_the_list_is_read_is_left_out(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    put(side, "one", score=1.0)
    put(side, "two", score=2.0)
    monkeypatch.setattr("worker.dead_letters.CHUNK", 1)
    listing = iter(side.dead_letters.list())
    next(listing)
    side.dead_letters.discard("two")
    assert [] == list(listing)


def test_a_redrive_moves_the_original_message_to_its_queue(side: Side) -> None:
    job = Job.create("s3://photos/证件 1.jpg", job_id="one", lane=Lane.BULK)
    side.dead_letters.put(LETTER, message_of(job), 1.0)
    assert side.dead_letters.redrive("one")
    side.dead_letters.keep_in_step()
    [message] = side.look("hmt_pass.bulk")
    assert (job.kwargs, False) == (message.kwargs, HEADER in message.headers)
    assert ([], 0, []) == (side.look(QUEUE), side.dead_letters.count(), side.look("hmt_pass"))


def test_a_redrive_moves_one_message_however_often_it_is_asked(side: Side) -> None:
    put(side, "one")
    put(side, "two")
    assert [True, False] == [side.dead_letters.redrive("one"), side.dead_letters.redrive("one")]
    side.dead_letters.keep_in_step()
    assert (["one"], ["two"]) == (
        [message.headers["id"] for message in side.look("hmt_pass")],
        [message.headers["id"] for message in side.look(QUEUE)],
    )


def test_a_discard_drops_record_and_message(side: Side) -> None:
    put(side, "one")
    assert [True, False] == [side.dead_letters.discard("one"), side.dead_letters.discard("one")]
    side.dead_letters.keep_in_step()
    assert ([], []) == (side.store.keys("*"), side.look(QUEUE))


def test_a_redriven_message_is_one_that_kombu_delivers(redis: RedisServer, store: Store) -> None:
    """The fake side of `store` proves nothing here and costs nothing."""
    letters, job = DeadLetters(store), Job.create("s3://photos/one.jpg", job_id="one")
    with Connection(redis.url, transport_options={"priority_steps": [0]}) as connection:
        letters.put(LETTER, message_of(job), 1.0)
        letters.redrive("one")
        for entry in store.lrange("hmt_pass", 0, -1):
            connection.default_channel.client.lpush("delivered", entry)
        queue = connection.SimpleQueue("delivered")
        message = queue.get(timeout=5)
        message.ack()
        queue.close()
    args, kwargs, _ = message.payload
    assert ([], "s3://photos/one.jpg", "one") == (args, kwargs["image"], message.headers["id"])
