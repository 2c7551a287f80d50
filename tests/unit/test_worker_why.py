from collections.abc import Callable

import pytest
from fakes import World, message_of, reply

from hmt_pass import keys
from hmt_pass.job import Job
from hmt_pass.status import State
from worker.why import why


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


@pytest.mark.parametrize(
    ("happened", "state", "words"),
    [
        (lambda _: None, State.UNKNOWN, "nobody has registered it"),
        (enqueued, State.QUEUED, "no message waits in hmt_pass"),
        (published, State.QUEUED, "1 messages wait in hmt_pass"),
        (held, State.HELD, "no money; `hold status`"),
        (answered("1005"), State.RETRYING, "downloading the image took over 5 s; it is tried again at 20"),
        (answered("1009"), State.QUEUED, "too many calls a second; it is tried again at 20"),
        (running, State.RUNNING, "a-host:1 runs it since 20"),
        (left_behind, State.RUNNING, "a-host:1 has died"),
        (answered("1004"), State.REJECTED, "no face in the image; the uploader must send another one"),
        (answered("9980"), State.DEAD, "Top up the account"),
    ],
)
def test_a_job_that_is_not_finished_says_why(
    world: World, happened: Callable[[World], object], state: State, words: str
) -> None:
    happened(world)
    status = world.producer.status("mine")
    assert state is status.state
    assert words in (why(world.services, status) or "")


def test_a_recognized_job_needs_no_reason(world: World) -> None:
    answered("0000")(world)
    assert why(world.services, world.producer.status("mine")) is None


def test_a_hold_that_was_released_in_between_is_said_to_be_over(world: World) -> None:
    held(world)
    status = world.producer.status("mine")
    world.services.hold.release(by="a test")
    assert "take jobs again" in (why(world.services, status) or "")
