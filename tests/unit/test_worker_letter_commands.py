"""`dead-letters groups|list|show|export|discard`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import call, die, document, world_of_commands
from fakes import World

from hmt_pass import keys
from hmt_pass.errors import StoreError
from hmt_pass.status import State


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return world_of_commands(monkeypatch)


def age(world: World, **put_at: float) -> None:
    """Let letters have been put at these Unix times."""
    world.store.zadd(keys.DEAD_LETTERS_BY_TIME, put_at)


def listed(*options: str) -> list[str]:
    return [letter["job_id"] for letter in document("dead-letters", "list", *options)]


def test_dead_letters_are_listed_oldest_first_by_code_and_reason(world: World) -> None:
    for name, code in (("one", "1001"), ("two", "9980"), ("three", "1002")):
        die(world, name, code)
    assert ["one", "two", "three"] == listed()
    assert ["two"] == listed("--code", "9980")
    assert ["two"] == listed("--reason", "no money")
    lines = call("dead-letters", "list").output.splitlines()
    assert ("one", "1001", "s3://photos/one.jpg") == (
        lines[0].split()[0],
        lines[0].split()[2],
        lines[0].split()[-1],
    )


def test_times_are_utc_unless_they_say_otherwise_and_ages_count_back_from_now(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        die(world, name)
    age(world, one=1767225600.0, two=1767229200.0, three=1767232800.0)  # 2026-01-01, 0:00, 1:00 and 2:00 UTC
    monkeypatch.setattr("worker.commands.selection.time.time", lambda: 1767232800.0)
    assert ["two", "three"] == listed("--since", "2026-01-01T01:00")
    assert ["one"] == listed("--until", "2026-01-01T08:00:00+08:00")
    assert ["one", "two", "three"] == listed("--since", "2026-01-01")
    assert ["one", "two"] == listed("--older-than", "1h")
    assert ["one"] == listed("--older-than", "90m", "--until", "2026-01-02")
    assert [] == listed("--older-than", "1d")


@pytest.mark.parametrize(
    ("option", "value"), [("--since", "yesterday"), ("--older-than", "2 hours"), ("--older-than", "999999999d")]
)
def test_a_time_that_cannot_be_read_is_an_error_with_an_example(world: World, option: str, value: str) -> None:
    del world
    outcome = call("dead-letters", "list", option, value)
    assert (2, True) == (outcome.exit_code, "such as" in outcome.stderr)


def test_letters_are_chosen_by_image_and_by_whether_they_were_redriven(world: World) -> None:
    for name in ("one", "two"):
        die(world, name)
    world.redrive("one")
    die(world, "one")
    assert ["one"] == listed("--redriven")
    assert ["two"] == listed("--never-redriven")
    assert ["two"] == listed("--image", "s3://photos/t")
    assert "redriven 1x" in call("dead-letters", "list", "--job", "one").output


@pytest.mark.usefixtures("world")
def test_no_dead_letters_are_said_to_be_none() -> None:
    assert "no dead letters\n" == call("dead-letters", "list").output == call("dead-letters", "groups").output
    assert [] == document("dead-letters", "list") == document("dead-letters", "groups")


def test_groups_tell_how_many_of_each_and_what_to_do(world: World) -> None:
    for name, code in (("one", "9980"), ("two", "1001"), ("three", "1001"), ("four", "1001")):
        die(world, name, code)
    world.redrive("three")
    die(world, "three", "1001")
    largest, other = document("dead-letters", "groups")
    letters = {letter["job_id"]: letter for letter in document("dead-letters", "list")}
    assert ("1001", 3, 1, letters["two"]["dead_at"], letters["three"]["dead_at"]) == (
        largest["code"],
        largest["count"],
        largest["redriven"],
        largest["oldest_at"],
        largest["newest_at"],
    )
    assert ("9980", "the account has no money left", 1, "为账号充值") == (
        other["code"],
        other["reason"],
        other["count"],
        other["cure_zh"][:5],
    )
    assert "Top up the account" in call("dead-letters", "groups", "--code", "9980").output


def test_a_dead_letter_is_shown_whole_and_stays_where_it_is(world: World) -> None:
    job = die(world, "one", "9980")
    shown = document("dead-letters", "show", "one")
    assert ("one", "9980", "the account has no money left") == (shown["job_id"], shown["code"], shown["meaning"])
    assert ["TID-9980"] == shown["request_ids"] == [attempt["request_id"] for attempt in shown["attempts"]]
    lines = call("dead-letters", "show", "one").output
    assert all(text in lines for text in ("Top up the account", "为账号充值", "attempt 1", "charge 2", "TID-9980"))
    assert 1 == world.services.dead_letters.count()
    assert State.DEAD is world.status(job).state


def test_a_dead_letter_says_by_whom_and_under_which_name_its_job_was_redriven(world: World) -> None:
    die(world, "one")
    call("dead-letters", "plan", "--name", "june-outage")
    call("dead-letters", "redrive", "june-outage")
    die(world, "one")
    shown = document("dead-letters", "show", "one")
    assert (1, [("ann", "june-outage")]) == (
        shown["redriven"],
        [(one["by"], one["name"]) for one in shown["redrives"]],
    )
    assert "by ann  as june-outage" in call("dead-letters", "show", "one").output


@pytest.mark.usefixtures("world")
def test_a_dead_letter_that_does_not_exist_is_an_error_that_says_where_to_look() -> None:
    outcome = call("dead-letters", "show", "one")
    assert (1, "Error: no dead letter for one; ask `python -m worker status one`\n") == (
        outcome.exit_code,
        outcome.stderr,
    )


def test_an_export_has_a_line_a_letter(world: World, tmp_path: Path) -> None:
    for name in ("one", "two"):
        die(world, name)
    lines = call("dead-letters", "export", "--job", "two").output.splitlines()
    assert [document("dead-letters", "show", "two")] == [json.loads(line) for line in lines]
    file = tmp_path / "letters.jsonl"
    assert {"exported": 2, "file": str(file)} == document("dead-letters", "export", "--file", str(file))
    assert ["one", "two"] == [json.loads(line)["job_id"] for line in file.read_text().splitlines()]
    assert f"2 exported to {file}\n" == call("dead-letters", "export", "--file", str(file)).output
    assert 2 == world.services.dead_letters.count()


def test_an_export_that_cannot_be_written_says_where_and_leaves_the_last_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(world, "one")
    for path, problem in (("/dev/full", "No space left on device"), (tmp_path / "no/x", "No such file or directory")):
        outcome = call("dead-letters", "export", "--file", str(path))
        assert (1, f"Error: {path}: {problem}\n") == (outcome.exit_code, outcome.stderr)
    file = tmp_path / "letters.jsonl"
    file.write_text("the last one")

    def lost(_: object) -> Iterator[None]:
        raise StoreError("Redis: no answer")
        yield

    monkeypatch.setattr(world.services.dead_letters, "select", lost)
    assert "Error: Redis: no answer\n" == call("dead-letters", "export", "--file", str(file)).stderr
    assert ("the last one", [file]) == (file.read_text(), list(tmp_path.iterdir()))


def test_an_export_through_a_link_leaves_the_link(world: World, tmp_path: Path) -> None:
    die(world, "one")
    link, file = tmp_path / "link", tmp_path / "letters.jsonl"
    link.symlink_to(file)
    assert 1 == document("dead-letters", "export", "--file", str(link))["exported"]
    assert (True, 1) == (link.is_symlink(), len(file.read_text().splitlines()))


def test_a_discard_asks_first(world: World) -> None:
    job = die(world, "one")
    refused = call("dead-letters", "discard", "--all", answer="n\n")
    assert (1, 1) == (refused.exit_code, world.services.dead_letters.count())
    agreed = call("dead-letters", "discard", "--all", answer="y\n")
    assert (0, 0) == (agreed.exit_code, world.services.dead_letters.count())
    assert (State.DEAD, True) == (world.status(job).state, world.store.ttl(keys.job("one")) > 0)
    assert not world.store.sismember(keys.DEAD_JOBS, "one")


def test_a_discard_in_a_script_does_not_ask_and_takes_what_the_filter_leaves(world: World) -> None:
    for name, code in (("one", "1001"), ("two", "1002"), ("three", "1001")):
        die(world, name, code)
    assert {"discarded": 2, "going_on": 0} == document("dead-letters", "discard", "--code", "1001", "--yes")
    assert ["two"] == listed()
    assert "1 discarded\n" == call("dead-letters", "discard", "--job", "two", "--yes").output


def test_a_job_that_was_enqueued_again_goes_on_when_its_old_dead_letter_is_discarded(world: World) -> None:
    job = die(world, "one")
    world.services.claims.revive(["one"], "ann", "june-outage")
    world.producer.enqueue(str(job.image), job_id="one")
    lines = call("dead-letters", "discard", "--all", "--yes").output
    assert ("1 discarded\n1 of their jobs are under way again and go on\n", State.QUEUED) == (
        lines,
        world.status(job).state,
    )


@pytest.mark.parametrize("command", ["redrive", "discard"])
def test_nothing_is_moved_without_being_named(world: World, command: str) -> None:
    die(world, "one")
    nothing, unknown = call("dead-letters", command), call("dead-letters", command, "--job", "one", "--job", "other")
    both = call("dead-letters", command, "--all", "--code", "1001")
    assert (2, True) == (nothing.exit_code, "say which: --job, --code or another filter" in nothing.stderr)
    assert (1, "Error: no dead letter for other\n") == (unknown.exit_code, unknown.stderr)
    assert (2, True) == (both.exit_code, "leave out" in both.stderr)
    assert 1 == world.services.dead_letters.count()
