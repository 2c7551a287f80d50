"""What RabbitMQ alone can suffer, and what only there must be taken care of."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from brokers import QUEUES_WRITTEN_S, RabbitBroker
from system import System

from hmt_pass.errors import NotEnqueuedError
from hmt_pass.job import Job
from hmt_pass.status import State
from local.redis import RedisServer
from worker.envelope import TaskMessage
from worker.rabbitmq.queues import RabbitQueues

pytestmark = pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)


@pytest.fixture
def rabbitmq(broker: RabbitBroker) -> RabbitBroker:
    return broker


def test_a_killed_broker_loses_no_job_and_has_none_paid_twice(system: System, rabbitmq: RabbitBroker) -> None:
    system.books.latency_s = 0.3
    # One job is in a delay meanwhile. RabbitMQ may lose it as it comes up: it is found after two visibility timeouts.
    system.books.script.append("9999")
    system.worker(visibility_timeout_s=8)
    time.sleep(QUEUES_WRITTEN_S)
    images = [system.upload(f"{number}.png", number) for number in range(30)]
    job_ids = system.producer.enqueue_many(images[:20])
    system.until(lambda: system.books.charges > 3)

    rabbitmq.server.kill()
    with pytest.raises(NotEnqueuedError):
        system.producer.enqueue(images[20])
    rabbitmq.server.start()
    job_ids += system.producer.enqueue_many(images[20:])

    assert {State.RECOGNIZED} == set(system.wait(*job_ids, timeout_s=60))
    assert 30 == system.books.charges


def test_an_outage_of_redis_uses_up_no_deliveries(system: System, rabbitmq: RabbitBroker) -> None:
    worker = system.worker()
    jobs = [Job.create(system.upload(f"{number}.png", number)) for number in range(3)]

    with redis_away(system.redis):
        for job in jobs:
            RabbitQueues(rabbitmq.rabbit, rabbitmq.url).publish(TaskMessage.for_job(job))
        # celery's word for a message that is acknowledged and comes back as another
        system.until(lambda: worker.log.read_text().count("retry: store unavailable") >= 9)

    assert {State.RECOGNIZED} == set(system.wait(*(job.job_id for job in jobs)))


@contextmanager
def redis_away(server: RedisServer) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()
