"""`dead-letters plan|redrive|redrives`."""

from contextlib import nullcontext
from decimal import Decimal

import pytest
from commands import call, die, document, world_of_commands
from fakes import BUCKET, World

from hmt_pass import keys
from hmt_pass.job import DEAD_LETTER_QUEUE
from hmt_pass.status import State
from worker.dead_letters import DeadLetters


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return world_of_commands(monkeypatch, price_per_call=Decimal("0.12"))


def left(world: World) -> list[str]:
    return [letter.job_id for letter in world.services.dead_letters.list()]


def test_a_plan_tells_what_a_redrive_would_do_and_moves_nothing(world: World) -> None:
    for name in ("one", "two", "three"):
        die(world, name)
    world.storage.objects.pop((BUCKET, "two.jpg"))
    found = document("dead-letters", "plan")
    assert (2, 2, "0.24", None) == (
        found["eligible"],
        found["expected_calls"],
        found["expected_cost"],
        found["name"],
    )
    assert (["one", "three"], ["two"]) == (found["jobs"]["eligible"], found["jobs"]["source image gone"])
    lines = call("dead-letters", "plan").output.splitlines()
    assert ["2  eligible", "1  source image gone", "2  calls expected, cost 0.24"] == [line.strip() for line in lines]
    assert (["one", "two", "three"], 0) == (left(world), world.store.llen("hmt_pass"))


def test_a_plan_without_the_source_check_asks_s3_nothing(world: World) -> None:
    die(world, "one")
    world.storage.get_error = ZeroDivisionError()  # type: ignore[assignment]  # what must not happen
    assert 1 == document("dead-letters", "plan", "--no-source-check")["eligible"]


def test_a_named_plan_is_moved_exactly_as_it_was_kept(world: World) -> None:
    for name in ("one", "two"):
        die(world, name)
    assert "kept as june-outage" in call("dead-letters", "plan", "--name", "june-outage", "--code", "1001").output
    late = die(world, "late")
    outcome = call("dead-letters", "redrive", "june-outage", "--rate", "0")
    assert (0, "2 redriven as june-outage\n") == (outcome.exit_code, outcome.output)
    assert (["late"], State.DEAD, 2) == (left(world), world.status(late).state, world.store.llen("hmt_pass"))
    [kept] = document("dead-letters", "redrives")
    assert ("june-outage", "ann", {"code": "1001"}, 2, 2, 0, 0, False) == (
        *(kept[name] for name in ("name", "by", "wanted", "planned", "moved", "skipped", "left", "running")),
    )


def test_a_redrive_by_a_filter_shows_its_plan_and_asks(world: World) -> None:
    one, two = die(world, "one", "1001"), die(world, "two", "1002")
    refused = call("dead-letters", "redrive", "--code", "1001", answer="n\n")
    assert (1, ["one", "two"], []) == (refused.exit_code, left(world), document("dead-letters", "redrives"))
    assert "1  eligible" in refused.stderr
    agreed = call("dead-letters", "redrive", "--code", "1001", answer="y\n")
    assert (0, True) == (agreed.exit_code, "1 redriven as 20" in agreed.stdout)
    assert (State.QUEUED, State.DEAD) == (world.status(one).state, world.status(two).state)
    assert ["two"] == left(world)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--all"], ["one", "two", "three"]),
        (["--code", "1001"], ["one", "three"]),
        (["--reason", "money"], ["two"]),
        (["--job", "two", "--job", "three", "--code", "1001"], ["three"]),
        (["--all", "--limit", "1"], ["one"]),
    ],
)
def test_a_redrive_moves_what_the_filters_leave(world: World, options: list[str], expected: list[str]) -> None:
    for name, code in (("one", "1001"), ("two", "9980"), ("three", "1001")):
        die(world, name, code)
    options = [option for option in options if option != "--all" or len(options) == 1]
    assert len(expected) == document("dead-letters", "redrive", *options, "--yes")["redriven"]
    assert [name for name in ("one", "two", "three") if name not in expected] == left(world)


def test_a_dead_letter_that_another_operator_was_faster_with_is_not_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(world, "one")
    redrive = DeadLetters.redrive

    def too_late(letters: DeadLetters, found: dict[object, object], name: str) -> int:
        letters.discard("one")
        return redrive(letters, found, name)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(DeadLetters, "redrive", too_late)
    found = document("dead-letters", "redrive", "--all", "--yes")
    assert (0, 1, 0) == (found["redriven"], found["skipped"], found["left"])


def test_a_redrive_during_a_hold_says_that_the_jobs_wait(world: World) -> None:
    die(world, "one")
    world.services.hold.open("no money", by="a test")
    assert "on hold: they wait" in call("dead-letters", "redrive", "--all", "--yes").output


def test_nothing_eligible_is_nothing_kept(world: World) -> None:
    die(world, "one")
    world.storage.objects.clear()
    outcome = call("dead-letters", "redrive", "--all", "--yes")
    assert (0, "nothing to redrive\n", True) == (
        outcome.exit_code,
        outcome.stdout,
        "1  source image gone" in outcome.stderr,
    )
    assert (["one"], []) == (left(world), document("dead-letters", "redrives"))


def test_ctrl_c_stops_a_redrive_and_the_same_command_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two", "three"):
        die(world, name)
    document("dead-letters", "plan", "--name", "june-outage")

    def press(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("worker.commands.redrive.progress", lambda *_, **__: nullcontext(press))
        stopped = call("dead-letters", "redrive", "june-outage", "--rate", "2")
    assert (1, "Error: stopped, 2 left: `dead-letters redrive june-outage` goes on\n") == (
        stopped.exit_code,
        stopped.stderr,
    )
    assert 2 == document("dead-letters", "redrives")[0]["left"]
    found = document("dead-letters", "redrive", "june-outage", "--rate", "0")
    assert (2, 0, 3) == (found["redriven"], found["left"], world.store.llen("hmt_pass"))


def test_a_redrive_that_is_called_off_moves_nothing_more(world: World) -> None:
    for name in ("one", "two"):
        die(world, name)
    document("dead-letters", "plan", "--name", "june-outage")
    assert {"name": "june-outage", "left": 2} == document("dead-letters", "redrive", "june-outage", "--abort")
    outcome = call("dead-letters", "redrive", "june-outage")
    assert (0, True) == (outcome.exit_code, "0 redriven as june-outage\ncalled off at 20" in outcome.output)
    assert (["one", "two"], 2) == (left(world), world.store.llen(DEAD_LETTER_QUEUE))
    assert "called off" in call("dead-letters", "redrives").output


def test_a_name_stands_for_one_plan(world: World) -> None:
    die(world, "one")
    document("dead-letters", "plan", "--name", "june-outage")
    again, wrong = (call("dead-letters", "plan", "--name", name) for name in ("june-outage", "june outage"))
    unknown, both = (call("dead-letters", "redrive", *options) for options in (["july"], ["june-outage", "--all"]))
    nameless = call("dead-letters", "redrive", "--abort")
    assert [1, 1, 1, 2, 2] == [outcome.exit_code for outcome in (again, wrong, unknown, both, nameless)]
    assert "a redrive is named june-outage already" in again.stderr
    assert "letters, digits and _ . -" in wrong.stderr
    assert "no redrive is named july" in unknown.stderr
    assert ["one"] == [str(job_id) for job_id in world.store.zrange(keys.redrive("june-outage"), 0, -1)]


@pytest.mark.usefixtures("world")
def test_no_redrives_are_said_to_be_none() -> None:
    assert "no redrives\n" == call("dead-letters", "redrives").output
