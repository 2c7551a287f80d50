"""Messages and photos that would bring a worker down: each ends as one dead letter, and the innocent go on."""

import json
from collections import Counter

import pytest
from chaos import poisons
from chaos.held import Buried
from chaos.options import full
from chaos.points import at
from chaos.poisons import RabbitPoisoner, RedisPoisoner
from chaos.world import World

from hmt_pass.job import Lane

INNOCENT = 20


def buried_as(*texts: str) -> Counter[Buried]:
    """The dead-letter queue with each of these entries in it once, not a byte of them changed; equal ones are one."""
    return Counter(set(map(poisons.as_buried, texts)))


def test_malformed_messages_become_dead_letters_once_each_and_nobody_else_notices(world: World) -> None:
    is_redis = world.broker == "redis"
    poisoner = RedisPoisoner(world.broker_store()) if is_redis else RabbitPoisoner(world.environment["BROKER_URL"])
    world.fleet.start(2)
    world.enqueue(INNOCENT // 2)
    messages = poisons.entries()
    for message in messages.values():
        poisoner.push(message)
    raw = poisons.raw_entries() if isinstance(poisoner, RedisPoisoner) else {}
    for text in raw.values():
        world.broker_store().lpush(Lane.INTERACTIVE.queue, text)
    world.enqueue(INNOCENT // 2, first=INNOCENT // 2)

    findings = world.verdict("malformed messages", faults=len(messages) + len(raw))
    assert [] == findings.violations
    assert {"recognized": INNOCENT} == findings.ends
    assert len(messages) + len(raw) == len(world.held.letters())
    assert buried_as(*map(json.dumps, messages.values()), *raw.values()) == Counter(world.held.buried())
    assert all(worker.running for worker in world.fleet.workers)


@pytest.mark.chaos_broker("redis")  # RabbitMQ guards the form of its messages itself
def test_a_message_with_random_damage_never_ends_a_worker(world: World) -> None:
    count = world.size(100, 1000)
    world.fleet.start(2)
    texts = poisons.fuzz(world.seed, count)
    for text in texts:
        world.broker_store().lpush(Lane.INTERACTIVE.queue, text)
    world.enqueue(INNOCENT)

    findings = world.verdict("fuzzed messages", faults=count)
    assert [] == findings.violations
    assert {"recognized": INNOCENT} == findings.ends
    # Entries that differ in what is neither header nor body are as many letters; none is missing, none changed.
    assert buried_as(*texts).keys() == set(world.held.buried())
    assert len(world.held.letters()) <= len(set(texts))
    assert all(worker.running for worker in world.fleet.workers)


def test_a_task_that_only_newer_workers_know_is_kept_as_a_dead_letter(world: World) -> None:
    is_redis = world.broker == "redis"
    poisoner = RedisPoisoner(world.broker_store()) if is_redis else RabbitPoisoner(world.environment["BROKER_URL"])
    world.fleet.start()
    poisoner.push(poisons.entry("of-tomorrow", task="hmt_pass.of_tomorrow"))
    world.until(lambda: "of-tomorrow" in "".join(world.held.letters().values()))

    assert [] == world.verdict("a task of a newer release", faults=1).violations
    assert 1 == len(world.held.letters()) == len(world.held.buried())


@pytest.mark.chaos_any_broker
@pytest.mark.parametrize(
    "error", ["1 GB", full("MemoryError"), full("SystemExit"), full("KeyboardInterrupt"), full("recursion")]
)
def test_a_job_that_raises_what_ends_programs_is_one_dead_letter(world: World, error: str) -> None:
    world.fleet.faults = {"image": at([world.job_id(0), world.job_id(5)], do=error)}
    world.fleet.start(concurrency=2)
    world.enqueue(INNOCENT)

    findings = world.verdict(f"a job that raises {error}")
    assert [] == findings.violations
    assert {"recognized": INNOCENT - 2, "dead": 2} == findings.ends
    assert all(worker.running for worker in world.fleet.workers)


@pytest.mark.chaos_any_broker
@pytest.mark.parametrize("death", [full("kill"), "segfault"])
def test_an_image_that_kills_the_process_is_buried_after_three_deaths_and_its_neighbours_live(
    world: World, death: str
) -> None:
    # A neighbour that two of the deaths met in mid call would be dead of its budget, and not of the image.
    world.environment["HMT_PASS_MAX_POSSIBLY_CHARGED"] = "4"
    world.fleet.faults = {"image": at([world.job_id(3)], do=death)}
    world.fleet.start(2)
    world.enqueue(INNOCENT)
    for _ in range(600):
        world.fleet.keep(2)
        if world.is_drained():
            break
        world.until(lambda: world.is_drained() or not all(worker.running for worker in world.fleet.workers), 60)

    findings = world.verdict(f"an image that kills the process: {death}")
    assert [] == findings.violations
    assert {"recognized": INNOCENT - 1, "dead": 1} == findings.ends
    assert "poison" in world.held.letters()[world.job_id(3)]
    assert 3 == world.fleet.faults_injected
