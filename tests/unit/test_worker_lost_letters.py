import pytest
from fakes import World, reply

from hmt_pass import keys
from hmt_pass.job import DEAD_LETTER_QUEUE, Job
from hmt_pass.status import State
from worker.letters import DeadLetter
from worker.lost_letters import LostLetters


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


def die(world: World, name: str, code: str = "1002") -> tuple[Job, DeadLetter]:
    job = world.job(name, key=f"{name}.jpg", job_id=name)
    world.script(reply(code))
    world.run(job)
    letter = world.services.dead_letters.find(name)
    assert letter is not None
    return job, letter


def lose_the_letters(world: World) -> None:
    world.store.delete(keys.DEAD_LETTERS, keys.DEAD_LETTERS_BY_TIME, DEAD_LETTER_QUEUE)


def write_anew(world: World) -> list[str]:
    return LostLetters(world.services).write_anew()


def test_a_letter_that_the_broker_lost_is_written_anew_from_the_state_of_its_job(world: World) -> None:
    _, first = die(world, "lost")
    lose_the_letters(world)

    assert ["lost"] == write_anew(world)

    letter = world.services.dead_letters.find("lost")
    assert letter is not None
    same = ("reason", "code", "request_id", "image", "hmt_flag", "attempts", "redriven")
    assert [getattr(first, name) for name in same] == [getattr(letter, name) for name in same]
    assert 1 == world.store.llen(DEAD_LETTER_QUEUE)


def test_it_can_be_redriven_like_the_first(world: World) -> None:
    job, _ = die(world, "lost")
    lose_the_letters(world)
    write_anew(world)
    assert 1 == world.redrive("lost")
    assert "done" == world.run(job).end
    assert ([], State.RECOGNIZED) == (write_anew(world), world.status(job).state)


def test_nothing_is_written_while_every_dead_job_has_its_letter(world: World) -> None:
    die(world, "one")
    die(world, "two")
    assert [] == write_anew(world)
    assert 2 == world.services.dead_letters.count()


def test_one_lost_letter_is_found_among_others(world: World) -> None:
    die(world, "kept")
    die(world, "lost")
    world.services.dead_letters.discard("lost")  # and the process died before it could note that
    assert ["lost"] == write_anew(world)


def test_a_discarded_letter_stays_discarded(world: World) -> None:
    die(world, "kept")
    die(world, "discarded")
    world.services.dead_letters.discard("discarded")
    world.services.claims.drop(["discarded"], 60)
    assert [] == write_anew(world)


def test_a_message_that_was_no_job_cannot_come_back(world: World) -> None:
    world.services.claims.died("invalid-1", "unreadable message")
    assert ([], 0) == (write_anew(world), world.store.scard(keys.DEAD_JOBS))
