"""What hmt_pass.rabbit and the producer promise on a RabbitMQ that does not do what it should. The clocks are real."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from brokers import RabbitBroker
from fakes import fake_store, message_of

from hmt_pass.errors import NotEnqueuedError, SettingsError, StoreError
from hmt_pass.job import Job
from hmt_pass.producer import Producer
from hmt_pass.queues import EXCHANGE
from hmt_pass.rabbit import Rabbit
from local.process import free_port
from local.redis import RedisServer
from local.stage import until
from worker.envelope import TaskMessage
from worker.rabbitmq.delays import RabbitDelays
from worker.rabbitmq.queues import RabbitQueues

IMAGE = "s3://photos/one.jpg"


@pytest.fixture
def producer(rabbit: RabbitBroker, redis: RedisServer) -> Producer:
    return Producer(redis.url, rabbit.url)


@contextmanager
def frozen(broker: RabbitBroker) -> Iterator[None]:
    os.kill(broker.server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.server.pid, signal.SIGCONT)


def refused(enqueue: Callable[[], object]) -> tuple[str, float]:
    """Why an enqueue failed, and after how many seconds."""
    begun = time.monotonic()
    with pytest.raises(NotEnqueuedError) as caught:
        enqueue()
    return str(caught.value), time.monotonic() - begun


def test_a_job_is_enqueued_once_it_is_safe(producer: Producer, rabbit: RabbitBroker) -> None:
    job_id = producer.enqueue(IMAGE, lane="bulk", flag=3)
    [message] = rabbit.look("hmt_pass.bulk")
    assert (job_id, {"image": IMAGE, "hmt_flag": 3}) == (message.headers["id"], message.kwargs)


def test_many_jobs_are_enqueued_in_batches(producer: Producer, rabbit: RabbitBroker) -> None:
    told: list[int] = []
    job_ids = producer.enqueue_many((f"s3://photos/{number}.jpg" for number in range(1100)), told.append)
    assert ([500, 1000, 1100], 1100) == (told, rabbit.rabbit.depth("hmt_pass"))
    assert job_ids[:3] == [message.headers["id"] for message in rabbit.look("hmt_pass")[:3]]


def test_a_frozen_broker_is_given_up_within_8_s(producer: Producer, rabbit: RabbitBroker) -> None:
    producer.enqueue(IMAGE)
    with frozen(rabbit):
        tries = [refused(lambda: producer.enqueue("s3://photos/two.jpg")) for _ in range(2)]
    assert ["the broker did not take the job: RabbitMQ: no answer in time"] * 2 == [reason for reason, _ in tries]
    assert max(seconds for _, seconds in tries) < 8
    assert producer.enqueue("s3://photos/three.jpg")


def test_a_broker_without_memory_is_given_up_at_once(producer: Producer, rabbit: RabbitBroker) -> None:
    producer.enqueue(IMAGE)
    rabbit.server.control("set_vm_memory_high_watermark", "absolute", "1")
    try:
        reason, seconds = refused(lambda: producer.enqueue("s3://photos/two.jpg"))
    finally:
        rabbit.server.control("set_vm_memory_high_watermark", "0.4")
    assert ("RabbitMQ: takes no messages now" in reason, True) == (True, seconds < 4)
    assert producer.enqueue("s3://photos/two.jpg")


def test_a_broker_that_is_not_there_is_given_up(redis: RedisServer) -> None:
    producer = Producer(redis.url, f"amqp://me:hush@127.0.0.1:{free_port()}//")
    reason, seconds = refused(lambda: producer.enqueue(IMAGE))
    assert ("refused" in reason, "hush" in reason, seconds < 4) == (True, False, True)
    assert "unknown" == producer.status(Job.create(IMAGE).job_id).state


def test_a_message_that_no_queue_takes_is_an_error(rabbit: RabbitBroker) -> None:
    RabbitQueues(rabbit.rabbit, rabbit.url).publish(message_of(Job.create(IMAGE)))
    with pytest.raises(StoreError, match="no queue takes nobody"), rabbit.rabbit.confirmed() as publisher:
        publisher.publish(b"", exchange=EXCHANGE, routing_key="nobody", content_type="text/plain")
    with pytest.raises(StoreError, match="no exchange 'none'"), rabbit.rabbit.confirmed() as publisher:
        publisher.publish(b"", exchange="none", routing_key="nobody", content_type="text/plain")
    RabbitQueues(rabbit.rabbit, rabbit.url).publish(message_of(Job.create(IMAGE)))
    assert 2 == rabbit.rabbit.depth("hmt_pass")


def test_a_wrong_password_is_an_error_without_it(rabbit: RabbitBroker) -> None:
    url = rabbit.url.replace("hmt_pass:", "hmt_pass:wrong")
    with pytest.raises(StoreError, match="ACCESS_REFUSED") as caught:
        Rabbit(url).version()
    assert "wrong" not in str(caught.value)


def test_a_url_that_cannot_be_read_is_an_error_without_its_password() -> None:
    with pytest.raises(SettingsError) as caught:
        Rabbit("amqp://me:hush@host:port//").version()
    assert "hush" not in str(caught.value)


def test_connections_that_were_closed_meanwhile_are_replaced(producer: Producer, rabbit: RabbitBroker) -> None:
    producer.enqueue(IMAGE)
    rabbit.break_connections()
    assert producer.enqueue("s3://photos/two.jpg")


def test_a_queue_that_was_deleted_is_declared_again_after_one_refusal(producer: Producer, rabbit: RabbitBroker) -> None:
    with ThreadPoolExecutor(4) as threads:  # as many connections, each of which has declared the queue once
        list(threads.map(producer.enqueue, [f"s3://photos/{number}.jpg" for number in range(40)]))
    with rabbit.rabbit.channel() as channel:
        channel.queue_delete("hmt_pass")
    reason, _ = refused(lambda: producer.enqueue(IMAGE))
    assert "no queue takes hmt_pass" in reason
    assert producer.enqueue(IMAGE)


def taken(broker: RabbitBroker, queues: RabbitQueues) -> TaskMessage:
    """The next message, as a worker takes it."""
    assert until(lambda: queues.waiting("hmt_pass") == 1, 10)
    with broker.rabbit.channel() as channel:
        raw = channel.basic_get("hmt_pass", no_ack=True)
        return TaskMessage.received(channel.message_to_python(raw))


def test_a_second_delay_of_the_same_length_loses_nothing(rabbit: RabbitBroker) -> None:
    """RabbitMQ takes a message for one that runs in a circle, by the headers of its first delay, and deletes it."""
    queues = RabbitQueues(rabbit.rabbit, rabbit.url)
    delays = RabbitDelays(rabbit.rabbit, rabbit.url, fake_store())
    delays.put("one", message_of(Job.create(IMAGE, job_id="one")), 1.0)
    message = taken(rabbit, queues)
    ours = {name for name in message.headers if not name.startswith("x-")}
    assert ("hmt_pass", "one", ours) == (message.queue, message.headers["id"], set(message.headers))
    delays.put("one", message, 1.0)
    assert ours == set(taken(rabbit, queues).headers)


def test_a_message_that_is_set_aside_comes_back(rabbit: RabbitBroker) -> None:
    queues, store = RabbitQueues(rabbit.rabbit, rabbit.url), fake_store()
    assert RabbitDelays(rabbit.rabbit, rabbit.url, store).set_aside(message_of(Job.create(IMAGE, job_id="one")))
    assert ("one", []) == (taken(rabbit, queues).headers["id"], store.keys("*"))
