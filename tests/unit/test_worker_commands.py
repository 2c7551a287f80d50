import json
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from click.testing import CliRunner, Result
from fakes import World, reply

from hmt_pass import keys
from hmt_pass.errors import SettingsError
from hmt_pass.job import Job
from hmt_pass.status import State
from worker.__main__ import main
from worker.commands.output import table

MODULES = ("dead_letters", "hold", "jobs")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World.create(monkeypatch)
    for module in MODULES:
        monkeypatch.setattr(f"worker.commands.{module}.services", lambda: world.services)
    return world


def call(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=answer)


def document(*arguments: str) -> Any:  # noqa: ANN401  whatever the command prints
    outcome = call(*arguments, "--json")
    assert 0 == outcome.exit_code, outcome.output
    return json.loads(outcome.stdout)


def die(world: World, name: str, code: str) -> Job:
    job = world.job(name, key=f"{name}.jpg", job_id=name)
    world.script(reply(code))
    world.run(job)
    world.services.hold.release(by="a test")
    return job


def test_help_names_every_command() -> None:
    outcome = call("--help")
    assert 0 == outcome.exit_code
    assert all(name in outcome.output for name in ("dead-letters", "doctor", "hold", "result", "status"))


def test_dead_letters_are_listed_oldest_first_by_code_and_reason(world: World) -> None:
    for name, code in (("one", "1001"), ("two", "9980"), ("three", "1002")):
        die(world, name, code)
    assert ["one", "two", "three"] == [letter["job_id"] for letter in document("dead-letters", "list")]
    assert ["two"] == [letter["job_id"] for letter in document("dead-letters", "list", "--code", "9980")]
    assert ["two"] == [letter["job_id"] for letter in document("dead-letters", "list", "--reason", "no money")]
    lines = call("dead-letters", "list").output.splitlines()
    assert ("one", "1001", "s3://photos/one.jpg") == (
        lines[0].split()[0],
        lines[0].split()[2],
        lines[0].split()[-1],
    )


@pytest.mark.usefixtures("world")
def test_no_dead_letters_are_said_to_be_none() -> None:
    assert "no dead letters\n" == call("dead-letters", "list").output
    assert [] == document("dead-letters", "list")


def test_a_dead_letter_is_shown_whole_and_stays_where_it_is(world: World) -> None:
    job = die(world, "one", "9980")
    shown = document("dead-letters", "show", "one")
    assert ("one", "9980", "the account has no money left") == (shown["job_id"], shown["code"], shown["meaning"])
    assert "request_id" in call("dead-letters", "show", "one").output
    assert 1 == world.services.dead_letters.count()
    assert State.DEAD is world.status(job).state


@pytest.mark.usefixtures("world")
def test_a_dead_letter_that_does_not_exist_is_an_error_that_says_where_to_look() -> None:
    outcome = call("dead-letters", "show", "one")
    assert (1, "Error: no dead letter for one; ask `python -m worker status one`\n") == (
        outcome.exit_code,
        outcome.stderr,
    )


def test_a_redrive_moves_what_was_named(world: World) -> None:
    one, two = die(world, "one", "1001"), die(world, "two", "1001")
    outcome = call("dead-letters", "redrive", "one")
    assert (0, "one\n1 redriven\n") == (outcome.exit_code, outcome.output)
    assert (State.QUEUED, State.DEAD) == (world.status(one).state, world.status(two).state)
    assert 1 == world.store.llen("hmt_pass")
    assert ["two"] == [letter.job_id for letter in world.services.dead_letters.list()]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--all"], ["one", "two", "three"]),
        (["--code", "1001"], ["one", "three"]),
        (["--reason", "money"], ["two"]),
        (["two", "three", "--code", "1001"], ["three"]),
    ],
)
def test_a_redrive_moves_what_the_filters_leave(world: World, options: list[str], expected: list[str]) -> None:
    for name, code in (("one", "1001"), ("two", "9980"), ("three", "1001")):
        die(world, name, code)
    assert {"redriven": expected} == document("dead-letters", "redrive", *options)


def test_a_dead_letter_that_another_operator_was_faster_with_is_not_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(world, "one", "1001")
    monkeypatch.setattr("worker.dead_letters.DeadLetters.redrive", lambda *_: False)
    assert {"redriven": []} == document("dead-letters", "redrive", "--all")


def test_a_redrive_during_a_hold_says_that_the_jobs_wait(world: World) -> None:
    die(world, "one", "1001")
    world.services.hold.open("no money", by="a test")
    assert "on hold: they wait" in call("dead-letters", "redrive", "--all").output


@pytest.mark.parametrize("command", ["redrive", "discard"])
def test_nothing_is_moved_without_being_named(world: World, command: str) -> None:
    die(world, "one", "1001")
    nothing, unknown = call("dead-letters", command), call("dead-letters", command, "one", "other")
    assert (2, True) == (nothing.exit_code, "name job ids, or --code, --reason or --all" in nothing.stderr)
    assert (1, "Error: no dead letter for other\n") == (unknown.exit_code, unknown.stderr)
    assert 1 == world.services.dead_letters.count()


def test_a_discard_asks_first(world: World) -> None:
    job = die(world, "one", "1001")
    refused = call("dead-letters", "discard", "--all", answer="n\n")
    assert (1, 1) == (refused.exit_code, world.services.dead_letters.count())
    agreed = call("dead-letters", "discard", "--all", answer="y\n")
    assert (0, 0) == (agreed.exit_code, world.services.dead_letters.count())
    assert (State.DEAD, True) == (world.status(job).state, world.store.ttl(keys.job("one")) > 0)


def test_a_discard_in_a_script_does_not_ask(world: World) -> None:
    die(world, "one", "1001")
    assert {"discarded": ["one"]} == document("dead-letters", "discard", "one", "--yes")


@pytest.mark.usefixtures("world")
def test_a_hold_is_set_shown_and_released() -> None:
    assert {"on": False, "dead_of_it": []} == document("hold", "status")
    assert "not on hold\n" == call("hold", "status").output
    assert "on hold: workers stop within a second\n" == call("hold", "set", "--reason", "invoice").output
    assert "was on hold already; the first reason stays\n" == call("hold", "set", "--reason", "other").output
    shown = document("hold", "status")
    assert (True, "invoice", None) == (shown["on"], shown["reason"], shown["code"])
    assert "invoice" in call("hold", "status").output
    assert {"released": True, "redriven": [], "dead_of_it": []} == document("hold", "release")
    assert "was not on hold\n" == call("hold", "release").output


def test_a_hold_needs_a_reason(world: World) -> None:
    assert (2, False) == (call("hold", "set").exit_code, world.services.hold.is_on())


def test_the_status_of_a_job_has_every_attempt_and_the_end_of_its_wait(world: World) -> None:
    job = world.job(job_id="mine")
    world.script(reply("1005"))
    world.run(job)
    found = document("status", "mine")
    assert ("retrying", 1, "1005") == (found["state"], found["attempts"], found["attempt_records"][0]["code"])
    assert found["waiting_until"] == world.services.delayed.due_at("mine")
    assert "attempt 1" in call("status", "mine").output


def test_an_attempt_under_way_is_shown_as_such(world: World) -> None:
    job = world.job(job_id="mine")
    world.services.calls.begin(world.services.claims.claim(job))
    assert call("status", "mine").output.endswith("under way\n")


@pytest.mark.usefixtures("world")
def test_the_status_of_a_job_that_nobody_knows_is_unknown() -> None:
    found = document("status", "other")
    assert ("unknown", [], None) == (found["state"], found["attempt_records"], found["waiting_until"])


def test_a_result_comes_from_redis_and_later_from_s3(world: World) -> None:
    job = world.job(job_id="mine")
    world.run(job)
    expected = world.stored(job)
    assert expected == document("result", "mine")
    world.store.delete(keys.result("mine"))
    assert expected == document("result", "mine")
    assert "欧阳试样" in call("result", "mine").output


def test_the_result_of_a_rejected_job_says_why(world: World) -> None:
    job = world.job(job_id="mine")
    world.script(reply("1004"))
    world.run(job)
    lines = dict(line.split(maxsplit=1) for line in call("result", "mine").output.splitlines())
    assert ("rejected", "1004", "no face in the image") == (lines["state"], lines["code"], lines["reason"])


@pytest.mark.usefixtures("world")
def test_a_job_without_a_result_is_an_error_that_says_where_to_look() -> None:
    outcome = call("result", "mine")
    assert (1, "") == (outcome.exit_code, outcome.stdout)
    assert "`python -m worker status mine` says where it stands" in outcome.stderr


COMMANDS = [
    ("dead-letters", "list"),
    ("dead-letters", "show", "one"),
    ("dead-letters", "redrive", "--all"),
    ("dead-letters", "discard", "--all", "--yes"),
    ("hold", "status"),
    ("hold", "set", "--reason", "r"),
    ("hold", "release"),
    ("status", "one"),
    ("result", "one"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_outage_is_one_line_and_exit_code_1(world: World, command: tuple[str, ...]) -> None:
    world.server.connected = False
    outcome = call(*command)
    assert (1, "", 1) == (outcome.exit_code, outcome.stdout, len(outcome.stderr.splitlines()))
    assert outcome.stderr.startswith("Error: Redis: ")


def _wrong() -> NoReturn:
    raise SettingsError("the environment needs attention:\n- HMT_PASS_API_ID: Field required")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_wrong_environment_is_exit_code_2(monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    wrong: Callable[[], NoReturn] = _wrong
    for module in MODULES:
        monkeypatch.setattr(f"worker.commands.{module}.services", wrong)
    outcome = call(*command)
    assert (2, True) == (outcome.exit_code, "HMT_PASS_API_ID: Field required" in outcome.stderr)


def test_a_table_is_aligned_and_leaves_out_what_is_empty() -> None:
    assert ["a    1", "bcd  x"] == table({"a": 1, "bcd": "x", "e": None, "f": "", "g": []})
    assert [] == table({})
