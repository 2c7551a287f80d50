"""What dead letters promise on every broker: Redis in memory, a real one, and RabbitMQ."""

import json
from dataclasses import replace

import pytest
from fakes import message_of
from kombu import Connection
from sides import Side, on_redis

from hmt_pass import keys
from hmt_pass.job import Job, Lane
from hmt_pass.store import Store
from local.redis import RedisServer
from worker.letters import DeadLetter, LetterId
from worker.puts import HEADER
from worker.redrives import Redrives
from worker.wanted import Wanted

JOB = Job.create("s3://photos/证件 1.jpg", job_id="one")
LETTER = DeadLetter(
    "one",
    "the account has no money left",
    "2026-11-22T10:00:00.000+00:00",
    image="s3://photos/证件 1.jpg",
    hmt_flag=0,
    code="9980",
    msg="余额不足",
    request_id="TID-2",
    attempts=[
        {"attempt": 1, "code": "9999", "ms": 12.5, "error": None, "request_id": "TID-1"},
        {"attempt": 2, "code": None, "ms": 12.5, "error": "unanswered", "request_id": None},
        {"attempt": 3, "code": "9980", "ms": 12.5, "error": None, "request_id": "TID-2"},
    ],
    first_failure_at="2026-11-22T10:00:00.000+00:00",
    last_failure_at="2026-11-22T10:00:00.000+00:00",
    redriven=1,
    redrives=[{"at": "2026-11-22T09:00:00.000+00:00", "by": "ann", "name": "june-outage"}],
    worker="a-host:1",
    worker_version="0.1.0",
)
QUEUE = "hmt_pass.dead_letter"


def put(side: Side, name: str, code: str | None = "9980", score: float = 1.0, **changes: object) -> None:
    job = Job.create(f"s3://photos/{name}.jpg", job_id=name)
    letter = replace(LETTER, job_id=name, code=code, image=str(job.image), **changes)  # type: ignore[arg-type]
    side.dead_letters.put(letter, message_of(job), score)


def lying(side: Side, queue: str = QUEUE) -> list[str]:
    return [message.headers["id"] for message in side.look(queue)]


def test_a_dead_letter_is_found_as_it_was_put(side: Side) -> None:
    side.dead_letters.put(LETTER, message_of(JOB), 1.0)
    assert LETTER == side.dead_letters.find("one")
    assert side.dead_letters.find("two") is None


def test_a_dead_letter_shows_what_to_do_in_both_languages_and_every_number_to_ask_the_vendor_by() -> None:
    shown = LETTER.as_dict()
    assert ("余额不足", "the account has no money left") == (shown["msg"], shown["meaning"])
    assert shown["cure"].startswith("Top up the account")
    assert shown["cure_zh"].startswith("为账号充值")
    assert ["TID-1", "TID-2"] == shown["request_ids"]
    assert LETTER == DeadLetter.from_record(shown)
    assert replace(LETTER, code=None).as_dict()["meaning"] is None


def test_the_queue_holds_the_original_message_with_the_record_as_a_header(side: Side) -> None:
    side.dead_letters.put(LETTER, message_of(JOB), 1.0)
    [message] = side.look(QUEUE)
    assert JOB.kwargs == message.kwargs
    assert (LETTER.record(), "one") == (message.headers[HEADER], message.headers["id"])


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
    assert ["late"] == [letter.job_id for letter in side.dead_letters.list(Wanted(code="9980"))]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), ["one", "two", "three", "four"]),
        (Wanted(since=20.0), ["two", "three", "four"]),
        (Wanted(until=20.0), ["one", "two"]),
        (Wanted(since=15.0, until=35.0), ["two", "three"]),
        (Wanted(image="s3://photos/t"), ["two", "three"]),
        (Wanted(redriven=True), ["one", "two", "four"]),
        (Wanted(redriven=False), ["three"]),
        (Wanted(reason="timed"), ["two"]),
        (Wanted(job_ids=("three", "one", "none")), ["one", "three"]),
        (Wanted(job_ids=("three", "one"), since=20.0), ["three"]),
        (Wanted(limit=2), ["one", "two"]),
        (Wanted(code="9980", limit=1), ["four"]),
    ],
    ids=lambda value: "" if isinstance(value, list) else ",".join(value.as_dict()),
)
def test_a_filter_leaves_what_it_says_oldest_first(store: Store, wanted: Wanted, expected: list[str]) -> None:
    side = on_redis(store)
    for number, name in enumerate(("one", "two", "three", "four"), 1):
        reason = "timed out" if name == "two" else "a reason"
        put(side, name, "9980" if name == "four" else "1001", 10.0 * number, redriven=number % 3, reason=reason)
    assert expected == [letter.job_id for letter in side.dead_letters.list(wanted)]


def test_a_letter_that_goes_while_the_list_is_read_is_left_out(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    put(side, "one", score=1.0)
    put(side, "two", score=2.0)
    monkeypatch.setattr("worker.dead_letter_index.CHUNK", 1)
    listing = iter(side.dead_letters.list())
    next(listing)
    side.dead_letters.discard("two")
    assert [] == list(listing)


def test_a_redrive_moves_the_original_message_to_its_queue(side: Side) -> None:
    job = Job.create("s3://photos/证件 1.jpg", job_id="one", lane=Lane.BULK)
    traceparent = f"00-{0xA1:032x}-{0xB2:016x}-01"
    side.dead_letters.put(LETTER, message_of(job, traceparent=traceparent), 1.0)
    assert 1 == side.redrive("one")
    side.dead_letters.keep_in_step()
    [message] = side.look("hmt_pass.bulk")
    assert (job.kwargs, False) == (message.kwargs, HEADER in message.headers)
    assert traceparent == message.headers["traceparent"]
    assert ([], 0, []) == (side.look(QUEUE), side.dead_letters.count(), side.look("hmt_pass"))


def test_a_redrive_moves_one_message_however_often_it_is_asked(side: Side) -> None:
    put(side, "one")
    put(side, "two")
    assert [1, 0] == [side.redrive("one"), side.move("june-outage")]
    side.dead_letters.keep_in_step()
    assert (["one"], ["two"]) == (lying(side, "hmt_pass"), lying(side))


def test_a_letter_that_was_put_anew_since_the_plan_stays(side: Side) -> None:
    put(side, "one", score=1.0)
    put(side, "two", score=2.0)
    redrives = Redrives(side.dead_letters.store)
    planned = [LetterId("one", 1.0), LetterId("two", 2.0)]
    redrives.keep("june-outage", planned, "ann", {})
    puts = {letter: put for letter, put in zip(planned, side.dead_letters.puts(planned), strict=True) if put}
    put(side, "one", score=4.0)  # between the look and the move
    assert 1 == side.dead_letters.redrive(puts, "june-outage")
    side.dead_letters.keep_in_step()
    assert (["one"], 1) == (lying(side), side.dead_letters.count())
    after = redrives.find("june-outage")
    assert (0, 1, 1) == (after.left, after.moved, after.skipped)


def test_what_is_gone_or_was_put_anew_is_not_there_to_be_moved(side: Side) -> None:
    put(side, "one", score=1.0)
    found = side.dead_letters.puts([LetterId("one", 1.0), LetterId("one", 0.5), LetterId("two", 1.0)])
    assert [("one", 1.0), None, None] == [found and (found.letter.job_id, found.score) for found in found]


def test_letters_are_dropped_by_their_ids_and_a_later_one_of_the_same_job_stays(side: Side) -> None:
    for name, score in (("one", 1.0), ("two", 2.0), ("three", 3.0)):
        put(side, name, score=score)
    dropped = side.dead_letters.discard_all([LetterId("one", 1.0), LetterId("two", 0.5), LetterId("gone", 1.0)])
    side.dead_letters.keep_in_step()
    assert (["one"], ["two", "three"], 2) == (dropped, lying(side), side.dead_letters.count())


def test_of_many_letters_each_message_goes_with_its_record_and_the_order_stays(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.dead_letters.FEW", 2)
    monkeypatch.setattr("worker.dead_letters.SWEEP", 3)
    names = [f"job-{number}" for number in range(10)]
    for number, name in enumerate(names):
        put(side, name, score=float(number))
    put(side, "job-3", score=10.0)
    assert 3 == side.redrive("job-0", "job-4", "job-8")
    assert side.dead_letters.discard("job-5")
    side.dead_letters.keep_in_step()
    left = ["job-1", "job-2", "job-6", "job-7", "job-9", "job-3"]
    assert (left, left) == (lying(side), [letter.job_id for letter in side.dead_letters.list()])
    assert (["job-0", "job-4", "job-8"], 0) == (lying(side, "hmt_pass"), side.dead_letters.keep_in_step())


def test_a_discard_drops_record_and_message(side: Side) -> None:
    put(side, "one")
    assert [True, False] == [side.dead_letters.discard("one"), side.dead_letters.discard("one")]
    side.dead_letters.keep_in_step()
    assert ([], []) == (side.store.keys("*"), side.look(QUEUE))


def test_a_redriven_message_is_one_that_kombu_delivers(redis: RedisServer, store: Store) -> None:
    """The fake side of `store` proves nothing here and costs nothing."""
    side, job = on_redis(store), Job.create("s3://photos/one.jpg", job_id="one")
    with Connection(redis.url, transport_options={"priority_steps": [0]}) as connection:
        side.dead_letters.put(LETTER, message_of(job), 1.0)
        side.redrive("one")
        for entry in store.lrange("hmt_pass", 0, -1):
            connection.default_channel.client.lpush("delivered", entry)
        queue = connection.SimpleQueue("delivered")
        message = queue.get(timeout=5)
        message.ack()
        queue.close()
    args, kwargs, _ = message.payload
    assert ([], "s3://photos/one.jpg", "one") == (args, kwargs["image"], message.headers["id"])


OLD_LETTER = {"job_id": "one", "reason": "object missing", "dead_at": "2026-11-22T10:00:00.000+00:00", "redriven": 1}


def test_letters_that_version_0_1_0_put_on_redis_are_read_redriven_and_discarded(store: Store) -> None:
    side = on_redis(store)
    for name in ("one", "two"):
        job = Job.create("s3://photos/one.jpg", job_id=name, lane=Lane.BULK)
        letter = {**OLD_LETTER, "job_id": name, "meaning": None}
        envelope = message_of(job).envelope(QUEUE, {HEADER: letter})
        entry = json.dumps({"letter": letter, "message": message_of(job).to_json(), "envelope": envelope})
        store.hset(keys.DEAD_LETTERS, name, entry)
        store.zadd(keys.DEAD_LETTERS_BY_TIME, {name: 1.0})
        store.lpush(QUEUE, envelope)
    letter = side.dead_letters.find("one")
    assert ("object missing", 1, [], []) == (letter.reason, letter.redriven, letter.redrives, letter.request_ids)
    assert (1, True) == (side.redrive("one"), side.dead_letters.discard("two"))
    assert (["one"], [], 0) == (lying(side, "hmt_pass.bulk"), lying(side), side.dead_letters.count())


def test_a_record_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert LETTER == DeadLetter.from_record({**LETTER.record(), "mood": "bad"})
