from collections import Counter
from functools import partial

import pytest

from hmt_pass.job import Lane
from worker.lanes import BULK_FIRST_EVERY, LaneCycle, LaneTurns

QUEUES = [lane.queue for lane in Lane]


def cycle(queues: list[str]) -> LaneCycle:
    lanes = LaneCycle()
    lanes.update(queues)
    return lanes


def served(waiting: dict[str, int], count: int) -> list[str]:
    """What is fetched of queues with so many messages each."""
    lanes, left = cycle(list(reversed(QUEUES))), Counter(waiting)
    fetched = []
    for _ in range(count):
        queue = next((queue for queue in lanes.consume(len(QUEUES)) if left[queue]), None)
        if queue is not None:
            left[queue] -= 1
            fetched.append(lanes.rotate(queue))
    return fetched


def test_one_job_in_eight_is_bulk_while_both_queues_are_full() -> None:
    fetched = served({"hmt_pass": 1000, "hmt_pass.bulk": 1000}, 10 * BULK_FIRST_EVERY)
    assert {"hmt_pass": 70, "hmt_pass.bulk": 10} == Counter(fetched)
    assert ["hmt_pass.bulk"] * 10 == fetched[BULK_FIRST_EVERY - 1 :: BULK_FIRST_EVERY]


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_that_is_alone_is_served_at_every_turn(queue: str) -> None:
    assert [queue] * 20 == served({queue: 20}, 20)


def test_looking_in_vain_does_not_use_up_the_turn_of_bulk() -> None:
    lanes = cycle(QUEUES)
    assert {"hmt_pass"} == {lanes.consume(2)[0] for _ in range(20)}


def test_only_queues_that_are_consumed_are_asked() -> None:
    lanes = cycle(["hmt_pass.bulk"])
    assert ["hmt_pass.bulk"] == lanes.consume(5)
    lanes.update([])
    assert [] == lanes.consume(5)


def test_no_more_queues_are_given_than_asked_for() -> None:
    assert ["hmt_pass"] == cycle(QUEUES).consume(1)


def test_jobs_in_hand_are_begun_in_the_same_order() -> None:
    turns = LaneTurns()
    begun: list[tuple[str, int]] = []
    for number in range(20):
        for lane in Lane:
            turns.put(lane, partial(begun.append, (str(lane), number)))
    for _ in range(40):
        turns.take_one()
    assert ["interactive"] * 7 + ["bulk"] == [lane for lane, _ in begun[:8]]
    assert list(range(20)) == [number for lane, number in begun if lane == "bulk"]
    assert list(range(20)) == [number for lane, number in begun if lane == "interactive"]


def test_a_job_that_is_taken_back_is_not_begun_and_leaves_no_turn_behind() -> None:
    turns, begun = LaneTurns(), list[str]()
    taken_back = partial(begun.append, "taken back")
    turns.put(Lane.BULK, taken_back)
    turns.put(Lane.BULK, partial(begun.append, "begun"))
    assert turns.take_back(Lane.BULK, taken_back)
    assert not turns.take_back(Lane.BULK, taken_back)
    for _ in range(2):
        turns.take_one()
    assert ["begun"] == begun
