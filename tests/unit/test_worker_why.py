from collections.abc import Callable

import pytest
from fakes import World, message_of, reply

from hmt_pass import keys
from hmt_pass.job import Job
from hmt_pass.status import State
from worker.why import Answer, answer


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


def enqueued(world: World) -> Job:
    job = world.job(job_id="mine")
    world.producer.enqueue(str(job.image), job_id="mine")
    return job


def published(world: World) -> None:
    world.services.queues.publish(message_of(enqueued(world)))


def held(world: World) -> None:
    enqueued(world)
    world.services.hold.open("no money", by="a test")


def answered(code: str) -> Callable[[World], None]:
    def run(world: World) -> None:
        job = enqueued(world)
        world.script(reply(code))
        world.run(job)

    return run


def running(world: World) -> None:
    world.services.claims.claim(enqueued(world))


def left_behind(world: World) -> None:
    running(world)
    world.store.delete(keys.claim("mine"))


def calling(world: World) -> None:
    claim = world.services.claims.claim(enqueued(world))
    world.services.calls.begin(claim)


def held_for_money(world: World) -> None:
    enqueued(world)
    world.services.hold.open("no money", by="a test", code="9980", heals=True)


@pytest.mark.parametrize(
    ("happened", "state", "why", "do"),
    [
        (lambda _: None, State.UNKNOWN, "no job has this id, or it ended over 7 days ago", "S3 as hmt-pass/mine.json"),
        (enqueued, State.QUEUED, "no message waits in hmt_pass", "written anew"),
        (published, State.QUEUED, "1 messages wait in hmt_pass", "see that workers run"),
        (held, State.HELD, "on hold since 20", "It waits until somebody releases it, and goes on by itself"),
        (held_for_money, State.HELD, "no money", "Top up the account, `python -m worker hold release --redrive`"),
        (held_for_money, State.HELD, "no money", "finds the account well; the next goes in 60 s at the earliest"),
        (answered("1005"), State.RETRYING, "downloading the image took over 5 s; it is tried again at 20", "nothing"),
        (answered("1009"), State.QUEUED, "too many calls a second; it is tried again at 20", "goes on by itself"),
        (running, State.RUNNING, "a-host:1 has run it for 0 s", "given up after 30 s, a job that hangs after 87 s"),
        (calling, State.RUNNING, "its call has been under way for 0 s", "nothing"),
        (left_behind, State.RUNNING, "a-host:1 has died", "another one takes it over"),
        (answered("1004"), State.REJECTED, "the image is at fault: no face in the image", "it is finished"),
        (
            answered("9980"),
            State.DEAD,
            "a dead letter: the account has no money left (9980)",
            "Top up the account",
        ),
        (answered("9980"), State.DEAD, "dead letter", "`python -m worker dead-letters show mine`"),
    ],
)
def test_a_job_that_is_not_finished_says_why_and_what_to_do(
    world: World, happened: Callable[[World], object], state: State, why: str, do: str
) -> None:
    happened(world)
    status = world.producer.status("mine")
    assert state is status.state
    found = answer(world.services, status)
    assert why in (found.why or "")
    assert do in (found.do or "")


def test_a_recognized_job_needs_no_reason(world: World) -> None:
    answered("0000")(world)
    assert Answer() == answer(world.services, world.producer.status("mine"))


def test_a_hold_that_was_released_in_between_is_said_to_be_over(world: World) -> None:
    held(world)
    status = world.producer.status("mine")
    world.services.hold.release(by="a test")
    assert "take jobs again" in (answer(world.services, status).do or "")
