"""The operator's commands, run in this process on a world of fakes."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fakes import World, reply

from hmt_pass.job import Job
from worker.__main__ import main

MODULES = ("dead_letters", "discard", "hold", "jobs", "ledger", "redrive", "selection")


def world_of_commands(monkeypatch: pytest.MonkeyPatch, **settings: object) -> World:
    """A world that commands find, and an operator."""
    world = World.create(monkeypatch, **settings)
    for module in MODULES:
        monkeypatch.setattr(f"worker.commands.{module}.services", lambda: world.services)
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    return world


def call(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=answer)


def document(*arguments: str) -> Any:  # noqa: ANN401  whatever the command prints
    outcome = call(*arguments, "--json")
    assert 0 == outcome.exit_code, outcome.output
    return json.loads(outcome.stdout)


def die(world: World, name: str, code: str = "1001") -> Job:
    """A job whose call is answered so; its hold is released."""
    job = world.job(name, key=f"{name}.jpg", job_id=name)
    world.script(reply(code))
    world.run(job)
    world.services.hold.release(by="a test")
    return job
