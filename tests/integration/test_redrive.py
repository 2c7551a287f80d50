"""A redrive while workers run and dead letters keep arriving, killed in the middle and taken up."""

import subprocess
import sys
from pathlib import Path

import celery
from system import System

from hmt_pass import keys
from hmt_pass.job import DEAD_LETTER_QUEUE, Lane
from hmt_pass.status import State
from local.process import clean_environment
from local.services import CHECKOUT

PLANNED, LATE = 20, 5


def die(system: System, prefix: str, first_picture: int, count: int) -> list[str]:
    """Jobs that the endpoint refuses for good."""
    system.books.script.extend(["1001"] * count)
    images = [system.upload(f"{prefix}-{number}.png", first_picture + number) for number in range(count)]
    job_ids = [system.producer.enqueue(image, job_id=f"{prefix}-{number}") for number, image in enumerate(images)]
    assert {State.DEAD} == set(system.wait(*job_ids))
    return job_ids


def left(system: System) -> int:
    return int(system.store.zcard(keys.redrive("june-outage")))


def test_a_redrive_that_is_killed_moves_each_planned_job_once_while_others_die(system: System) -> None:
    worker = system.worker()
    planned = die(system, "planned", 0, PLANNED)
    assert PLANNED == system.command("dead-letters", "plan", "--name", "june-outage")["eligible"]

    environment = {**clean_environment(), **system.environment}
    command = [sys.executable, "-m", "worker", "dead-letters", "redrive", "june-outage", "--rate", "10"]
    with subprocess.Popen(command, cwd=CHECKOUT, env=environment) as killed:
        system.until(lambda: left(system) < PLANNED)
        killed.kill()
    assert 0 < left(system) < PLANNED
    system.wait(*(job_id for job_id in planned if system.producer.status(job_id).state is not State.DEAD))
    late = die(system, "late", 100, LATE)
    system.store.delete(keys.REDRIVE_RUNS)  # as in a while it is by itself

    found = system.command("dead-letters", "redrive", "june-outage", "--rate", "0")
    assert (0, 0) == (found["left"], found["skipped"])
    assert {State.RECOGNIZED} == set(system.wait(*planned))
    assert {State.DEAD} == {system.producer.status(job_id).state for job_id in late}
    assert (PLANNED, PLANNED) == (system.books.charges, len(set(system.books.job_ids) - set(late)))
    [kept] = system.command("dead-letters", "redrives")
    assert (PLANNED, PLANNED, 0, False) == (kept["planned"], kept["moved"], kept["left"], kept["running"])
    assert {"1"} == {system.store.hget(keys.job(job_id), "redriven") for job_id in planned}
    assert sorted(late) == sorted(message.headers["id"] for message in system.broker.look(DEAD_LETTER_QUEUE))
    assert DEAD_LETTER_QUEUE in queues_as_flower_asks_for_them(system)
    assert worker.running


# A redrive that is killed once the jobs are queued again, before a message is moved.
KILLED = """
import os
from worker.__main__ import main
from worker.dead_letters import DeadLetters
from worker.rabbitmq.dead_letters import RabbitDeadLetters
for letters in (DeadLetters, RabbitDeadLetters):
    letters.redrive = lambda *_: os.kill(os.getpid(), 9)
main(["dead-letters", "redrive", "june-outage"])
"""


def test_what_a_redrive_that_was_killed_between_state_and_message_left_stays_dead(system: System) -> None:
    system.worker(visibility_timeout_s=3)
    job_ids = die(system, "planned", 0, 4)
    calls = len(system.books.lines)
    system.command("dead-letters", "plan", "--name", "june-outage")
    environment = {**clean_environment(), **system.environment}
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=CHECKOUT, env=environment, check=False)
    assert (-9, {State.QUEUED}) == (killed.returncode, {system.producer.status(one).state for one in job_ids})

    discarded = system.command("dead-letters", "discard", "--job", job_ids[0], "--job", job_ids[1], "--yes")
    called_off = system.command("dead-letters", "redrive", "june-outage", "--abort")
    assert ({"discarded": 2, "going_on": 0}, 2) == (discarded, called_off["left"])
    assert {State.DEAD} == {system.producer.status(job_id).state for job_id in job_ids}
    assert 0 == sum(int(system.store.zcard(keys.open_jobs(lane))) for lane in Lane)
    letters = sorted(letter["job_id"] for letter in system.command("dead-letters", "list"))
    assert (job_ids[2:], calls) == (letters, len(system.books.lines))


def test_a_hold_that_cannot_be_told_to_a_full_disk_is_told_to_stderr(system: System) -> None:
    environment = {**clean_environment(), **system.environment}
    command = [sys.executable, "-m", "worker", "hold", "set", "--reason", "invoice"]
    with Path("/dev/full").open("w") as full:
        outcome = subprocess.run(
            command, cwd=CHECKOUT, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    expected = "Error: stdout: No space left on device. What the command did: on hold: workers stop within a second\n"
    assert (1, expected, True) == (outcome.returncode, outcome.stderr, system.command("hold", "status")["on"])


def queues_as_flower_asks_for_them(system: System) -> set[str]:
    with celery.Celery("test", broker=system.broker.url, set_as_current=False) as app:
        answers = app.control.inspect(timeout=5, limit=1).active_queues()
    return {queue["name"] for queues in (answers or {}).values() for queue in queues}
