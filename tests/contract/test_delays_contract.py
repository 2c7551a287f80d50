"""What delays promise on every broker: Redis in memory, a real one, and RabbitMQ."""

import json
import time
from datetime import UTC, datetime

import pytest
from fakes import message_of
from sides import Side

from hmt_pass import keys
from hmt_pass.job import Job, Lane
from hmt_pass.store import Store
from local.stage import until
from worker.delayed import Delayed

JOB = Job.create("s3://photos/证件 1.jpg", job_id="one")
TRACEPARENT = f"00-{0xA1:032x}-{0xB2:016x}-01"


@pytest.fixture
def delayed(store: Store) -> Delayed:
    return Delayed(store)


def arrives(side: Side, queue: str = "hmt_pass", count: int = 1) -> bool:
    """Whether so many messages come to lie in a queue, while somebody moves what is due."""

    def there() -> bool:
        side.delayed.move_due()
        return count == side.queues.waiting(queue)

    return until(there, 10)


def test_a_delayed_message_comes_back_as_it_was_when_its_time_has_come(side: Side) -> None:
    begun = time.monotonic()
    side.delayed.put("one", message_of(JOB, traceparent=TRACEPARENT), 1.0)
    assert (0, True) == (side.queues.waiting("hmt_pass"), arrives(side))
    assert 0.9 < time.monotonic() - begun < 10.0  # a busy machine took 5.5 s
    [message] = side.look("hmt_pass")
    assert (JOB.kwargs, "one", TRACEPARENT) == (message.kwargs, message.headers["id"], message.headers["traceparent"])


def test_every_job_goes_back_to_its_own_queue(side: Side) -> None:
    job = Job.create("s3://photos/a.jpg", job_id="two", lane=Lane.BULK)
    side.delayed.put("one", message_of(JOB), 1.0)
    side.delayed.put("two", message_of(job), 1.0)
    assert (True, True) == (arrives(side), arrives(side, "hmt_pass.bulk"))


def test_it_is_known_when_a_wait_ends_and_that_it_has_ended(side: Side) -> None:
    side.delayed.put("one", message_of(JOB), 100.0)
    side.delayed.put("two", message_of(JOB), 1.0)
    due_at = datetime.fromisoformat(side.delayed.due_at("one") or "")
    assert (True, UTC) == (98 < due_at.timestamp() - time.time() <= 100, due_at.tzinfo)
    assert side.delayed.due_at("three") is None
    arrives(side)
    assert until(lambda: side.delayed.move_due() == 0 and side.delayed.due_at("two") is None, 5)


def test_the_time_is_that_of_redis(delayed: Delayed, store: Store) -> None:
    delayed.put("one", message_of(JOB), 100.0)
    seconds, microseconds = store.time()
    due_at = datetime.fromisoformat(delayed.due_at("one") or "")
    assert 98 < due_at.timestamp() - (seconds + microseconds / 1e6) <= 100


def test_on_redis_a_job_waits_once_and_its_last_wait_counts(delayed: Delayed, store: Store) -> None:
    delayed.put("one", message_of(JOB), 0.0)
    delayed.put("one", message_of(JOB), 100.0)
    assert (0, 1) == (delayed.move_due(), store.hlen(keys.DELAYED_MESSAGES))


def test_on_redis_the_most_overdue_go_back_first(delayed: Delayed, store: Store) -> None:
    for number, lane in enumerate([Lane.BULK, Lane.INTERACTIVE, Lane.BULK]):
        job = Job.create("s3://photos/a.jpg", job_id=str(number), lane=lane)
        delayed.put(str(number), message_of(job), number - 10.0)
    assert [2, 1] == [delayed.move_due(limit=2), delayed.move_due(limit=2)]
    in_bulk = [json.loads(entry)["headers"]["id"] for entry in store.lrange("hmt_pass.bulk", 0, -1)]
    assert (["2", "0"], 1) == (in_bulk, store.llen("hmt_pass"))
    assert {"hmt_pass", "hmt_pass.bulk"} == set(store.scan_iter())


def test_on_redis_an_entry_whose_message_is_gone_does_not_stop_the_others(delayed: Delayed, store: Store) -> None:
    delayed.put("gone", message_of(JOB), -2.0)
    delayed.put("one", message_of(JOB), -1.0)
    store.hdel(keys.DELAYED_MESSAGES, "gone")
    delayed.move_due()
    assert 1 == store.llen("hmt_pass")
