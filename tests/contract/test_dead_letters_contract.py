"""What worker.dead_letters and worker.delayed promise, over the fake Redis and a real one."""

import base64
import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fakes import message_of
from kombu import Connection

from hmt_pass import keys
from hmt_pass.job import Job, Lane
from hmt_pass.store import Store
from local.redis import RedisServer
from worker.dead_letters import HEADER, DeadLetter, DeadLetters
from worker.delayed import Delayed

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
    attempts=[{"attempt": 1, "code": "9980"}],
    first_failure_at="2026-11-22T10:00:00.000+00:00",
    last_failure_at="2026-11-22T10:00:00.000+00:00",
    worker="a-host:1",
    worker_version="0.1.0",
)
QUEUE = "hmt_pass.dead_letter"


@pytest.fixture
def letters(store: Store) -> DeadLetters:
    return DeadLetters(store)


@pytest.fixture
def delayed(store: Store) -> Delayed:
    return Delayed(store)


def put(letters: DeadLetters, name: str, code: str | None = "9980", score: float = 1.0) -> None:
    job = Job.create(f"s3://photos/{name}.jpg", job_id=name)
    letters.put(replace(LETTER, job_id=name, code=code), message_of(job), score)


def kwargs_of(entry: str | bytes) -> dict[str, object]:
    kwargs: dict[str, object] = json.loads(base64.b64decode(json.loads(entry)["body"]))[1]
    return kwargs


def test_a_dead_letter_is_found_as_it_was_put(letters: DeadLetters) -> None:
    letters.put(LETTER, message_of(JOB), 1.0)
    assert LETTER == letters.find("one")
    assert letters.find("two") is None
    assert "the account has no money left" == LETTER.as_dict()["meaning"]
    assert replace(LETTER, code=None).as_dict()["meaning"] is None


def test_the_queue_holds_the_original_message_with_the_record_as_a_header(letters: DeadLetters, store: Store) -> None:
    letters.put(LETTER, message_of(JOB), 1.0)
    [entry] = store.lrange(QUEUE, 0, -1)
    assert JOB.kwargs == kwargs_of(entry)
    assert (LETTER.as_dict(), "one") == (json.loads(entry)["headers"][HEADER], json.loads(entry)["headers"]["id"])


def test_a_job_has_one_record_and_one_message_however_often_it_is_put(letters: DeadLetters, store: Store) -> None:
    for number in range(3):
        letters.put(replace(LETTER, reason=f"reason {number}"), message_of(JOB), float(number))
    [letter] = letters.list()
    assert ("reason 2", 1, 1) == (letter.reason, letters.count(), store.llen(QUEUE))
    [entry] = store.lrange(QUEUE, 0, -1)
    assert "reason 2" == json.loads(entry)["headers"][HEADER]["reason"]


def test_looking_moves_nothing(letters: DeadLetters, store: Store) -> None:
    put(letters, "one")
    put(letters, "two")
    before = store.lrange(QUEUE, 0, -1)
    assert 2 == len(list(letters.list()))
    letters.find("one")
    assert (before, 2) == (store.lrange(QUEUE, 0, -1), letters.count())


def test_dead_letters_come_oldest_first_and_by_code(letters: DeadLetters) -> None:
    for name, code, score in (("late", "9980", 30.0), ("early", "1001", 10.0), ("middle", None, 20.0)):
        put(letters, name, code, score)
    assert ["early", "middle", "late"] == [letter.job_id for letter in letters.list()]
    assert ["late"] == [letter.job_id for letter in letters.list("9980")]


def test_a_letter_that_goes_while_the_list_is_read_is_left_out(
    letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(letters, "one", score=1.0)
    put(letters, "two", score=2.0)
    monkeypatch.setattr("worker.dead_letters.CHUNK", 1)
    listing = iter(letters.list())
    next(listing)
    letters.discard("two")
    assert [] == list(listing)


def test_a_redrive_moves_the_original_message_to_its_queue(letters: DeadLetters, store: Store) -> None:
    job = Job.create("s3://photos/证件 1.jpg", job_id="one", lane=Lane.BULK)
    letters.put(LETTER, message_of(job), 1.0)
    assert letters.redrive("one")
    [entry] = store.lrange("hmt_pass.bulk", 0, -1)
    assert (job.kwargs, False) == (kwargs_of(entry), HEADER in json.loads(entry)["headers"])
    assert {"hmt_pass.bulk"} == set(store.scan_iter())


def test_a_redrive_moves_one_message_however_often_it_is_asked(letters: DeadLetters, store: Store) -> None:
    put(letters, "one")
    put(letters, "two")
    assert [True, False] == [letters.redrive("one"), letters.redrive("one")]
    assert (1, 1) == (store.llen("hmt_pass"), store.llen(QUEUE))


def test_a_discard_drops_record_and_message(letters: DeadLetters, store: Store) -> None:
    put(letters, "one")
    assert [True, False] == [letters.discard("one"), letters.discard("one")]
    assert [] == store.keys("*")


def test_a_redriven_message_is_one_that_kombu_delivers(redis: RedisServer, store: Store) -> None:
    """The fake side of `store` proves nothing here and costs nothing."""
    with Connection(redis.url, transport_options={"priority_steps": [0]}) as connection:
        put(DeadLetters(store), "one")
        DeadLetters(store).redrive("one")
        for entry in store.lrange("hmt_pass", 0, -1):
            connection.default_channel.client.lpush("delivered", entry)
        queue = connection.SimpleQueue("delivered")
        message = queue.get(timeout=5)
        message.ack()
        queue.close()
    args, kwargs, _ = message.payload
    assert ([], "s3://photos/one.jpg", "one") == (args, kwargs["image"], message.headers["id"])


def test_a_delayed_message_comes_back_when_its_time_has_come(delayed: Delayed, store: Store) -> None:
    delayed.put("one", message_of(JOB), 0.05)
    assert (0, 0) == (delayed.move_due(), store.llen("hmt_pass"))
    time.sleep(0.1)
    assert (1, 0) == (delayed.move_due(), delayed.move_due())
    [entry] = store.lrange("hmt_pass", 0, -1)
    assert JOB.kwargs == kwargs_of(entry)
    assert {"hmt_pass"} == set(store.scan_iter())


def test_the_time_is_that_of_redis(delayed: Delayed, store: Store) -> None:
    delayed.put("one", message_of(JOB), 100.0)
    seconds, microseconds = store.time()
    due_at = datetime.fromisoformat(delayed.due_at("one") or "")
    left_s = due_at.timestamp() - (seconds + microseconds / 1e6)
    assert (True, UTC) == (98 < left_s <= 100, due_at.tzinfo)
    assert delayed.due_at("two") is None


def test_a_job_waits_once_and_its_last_wait_counts(delayed: Delayed, store: Store) -> None:
    delayed.put("one", message_of(JOB), 0.0)
    delayed.put("one", message_of(JOB), 100.0)
    assert (0, 1) == (delayed.move_due(), store.hlen(keys.DELAYED_MESSAGES))


def test_every_job_goes_back_to_its_own_queue_the_most_overdue_first(delayed: Delayed, store: Store) -> None:
    for number, lane in enumerate([Lane.BULK, Lane.INTERACTIVE, Lane.BULK]):
        job = Job.create("s3://photos/a.jpg", job_id=str(number), lane=lane)
        delayed.put(str(number), message_of(job), number - 10.0)
    assert [2, 1] == [delayed.move_due(limit=2), delayed.move_due(limit=2)]
    in_bulk = [json.loads(entry)["headers"]["id"] for entry in store.lrange("hmt_pass.bulk", 0, -1)]
    assert (["2", "0"], 1) == (in_bulk, store.llen("hmt_pass"))


def test_an_entry_whose_message_is_gone_does_not_stop_the_others(delayed: Delayed, store: Store) -> None:
    delayed.put("gone", message_of(JOB), -2.0)
    delayed.put("one", message_of(JOB), -1.0)
    store.hdel(keys.DELAYED_MESSAGES, "gone")
    delayed.move_due()
    assert 1 == store.llen("hmt_pass")
