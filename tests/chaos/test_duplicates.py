"""One job enqueued many times at once, and one image under many keys: one charge."""

import pytest
from chaos.photos import png
from chaos.scripted import code
from chaos.world import World

PROCESSES, TIMES = 5, 10


@pytest.mark.chaos_any_broker
def test_a_job_enqueued_fifty_times_at_once_from_five_processes_costs_one_charge(world: World) -> None:
    world.endpoint.plain(code("0000", 0.3))
    (image,) = world.photos.references(1)
    world.fleet.start(3)
    jobs = [{"image": image, "job_id": world.job_id(0)}] * TIMES
    options = {"redis_url": world.environment["REDIS_URL"], "broker_url": world.environment["BROKER_URL"], "jobs": jobs}
    producers = [
        world.nursery.spawn(f"p{n}", "chaos.child:enqueue", world.folder / f"producer-{n}.log", {}, options)
        for n in range(PROCESSES)
    ]
    assert [0] * PROCESSES == [producer.wait(30) for producer in producers]
    said = "".join(producer.log.read_text() for producer in producers).splitlines()
    assert [f"accepted {world.job_id(0)}"] * (PROCESSES * TIMES) == said
    world.accepted.append(world.job_id(0))

    findings = world.verdict("one job enqueued 50 times at once", faults=PROCESSES * TIMES - 1)
    assert [] == findings.violations
    assert 1 == findings.charges


@pytest.mark.chaos_any_broker
def test_one_image_under_twenty_keys_at_once_costs_one_charge(world: World) -> None:
    world.endpoint.plain(code("0000", 0.3))
    world.fleet.start(3)
    references = [world.photos.put(f"same-{world.seed}-{n}.png", png(800_000)) for n in range(20)]
    for number, reference in enumerate(references):
        world.accepted.append(world.producer.enqueue(reference, job_id=world.job_id(number)))

    findings = world.verdict("one image under 20 keys at once", faults=19)
    assert [] == findings.violations
    assert (1, {"recognized": 20}) == (findings.charges, findings.ends)
