import errno
import os
from collections.abc import Callable
from typing import NoReturn

import pytest
from commands import MODULES, call, die, document, world_of_commands
from fakes import World, reply

from hmt_pass import keys
from hmt_pass.errors import SettingsError
from worker.commands.output import progress, table


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return world_of_commands(monkeypatch)


def test_help_names_every_command() -> None:
    outcome = call("--help")
    assert 0 == outcome.exit_code
    assert all(name in outcome.output for name in ("dead-letters", "doctor", "hold", "result", "status"))


@pytest.mark.usefixtures("world")
def test_a_hold_is_set_shown_and_released() -> None:
    assert {"on": False, "dead_of_it": []} == document("hold", "status")
    assert "not on hold\n" == call("hold", "status").output
    assert "on hold: workers stop within a second\n" == call("hold", "set", "--reason", "invoice").output
    assert "was on hold already; the first reason stays\n" == call("hold", "set", "--reason", "other").output
    shown = document("hold", "status")
    assert (True, "invoice", None) == (shown["on"], shown["reason"], shown["code"])
    assert "invoice" in call("hold", "status").output
    assert {"released": True, "redriven": 0, "dead_of_it": []} == document("hold", "release")
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


def test_the_status_of_a_job_says_who_redrove_it(world: World) -> None:
    die(world, "mine")
    world.redrive("mine")
    found = document("status", "mine")
    assert [("ann", "redrive-")] == [(one["by"], one["name"][:8]) for one in found["redrives"]]
    assert "by ann  as redrive-" in call("status", "mine").output


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
    ("dead-letters", "groups"),
    ("dead-letters", "list"),
    ("dead-letters", "show", "one"),
    ("dead-letters", "export"),
    ("dead-letters", "plan"),
    ("dead-letters", "redrive", "--all", "--yes"),
    ("dead-letters", "redrive", "june-outage"),
    ("dead-letters", "redrive", "june-outage", "--abort"),
    ("dead-letters", "redrives"),
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


def full(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("option", ["--json", None])
@pytest.mark.parametrize(
    ("command", "did"),
    [
        (("dead-letters", "groups"), None),
        (("dead-letters", "list"), None),
        (("dead-letters", "export"), None),
        (("dead-letters", "plan", "--name", "july"), "kept as july"),
        (("dead-letters", "redrive", "--all", "--yes"), "1 redriven as"),
        (("dead-letters", "redrive", "june-outage", "--abort"), "called off; 1 stay"),
        (("dead-letters", "discard", "--all", "--yes"), "1 discarded"),
        (("hold", "set", "--reason", "r"), "on hold: workers stop"),
        (("hold", "release"), "was not on hold"),
        (("hold", "redrive"), "0 redriven"),
        (("ledger", "--csv"), None),
    ],
    ids=str,
)
def test_an_output_that_takes_no_more_is_one_line_which_says_what_was_done(
    world: World, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], did: str | None, option: str | None
) -> None:
    die(world, "one")
    call("dead-letters", "plan", "--name", "june-outage")
    monkeypatch.setattr("click.echo", lambda *_, err=False, **__: None if err else full())
    monkeypatch.setattr("csv.DictWriter.writeheader", full)
    outcome = call(*command, *filter(None, [option]))
    assert 1 == outcome.exit_code
    line = outcome.stderr.splitlines()[-1]
    assert line.startswith("Error: stdout: No space left on device")
    assert (did is not None, True) == ("What the command did" in line, (did or "") in line)


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


def test_a_person_who_watches_sees_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress("redriving", 4, as_json=False) as move:
        move(4)
    assert "redriving" in capsys.readouterr().err
    with progress("redriving", 4, as_json=True) as move:
        move(4)
    assert ("", "") == capsys.readouterr()
