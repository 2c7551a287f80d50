"""What the queues promise on every broker: Redis in memory, a real one, and RabbitMQ."""

from fakes import message_of
from sides import Side

from hmt_pass.job import Job, Lane


def test_a_published_message_waits_on_its_home_queue_as_it_was(side: Side) -> None:
    job = Job.create("s3://photos/证件 1.jpg", job_id="one", lane=Lane.BULK)
    side.queues.publish(message_of(job, custom={"retries": 2, "since": None}))
    assert (0, 1) == (side.queues.waiting("hmt_pass"), side.queues.waiting("hmt_pass.bulk"))
    [message] = side.look("hmt_pass.bulk")
    assert (job.kwargs, "one") == (message.kwargs, message.headers["id"])
    assert {"retries": 2, "since": None} == message.headers["custom"]


def test_nothing_waits_in_a_queue_that_nobody_has_used(side: Side) -> None:
    assert (0, set()) == (side.queues.waiting("hmt_pass"), side.queues.in_hand())


def test_messages_are_taken_in_the_order_of_their_coming(side: Side) -> None:
    for name in ("one", "two", "three"):
        side.queues.publish(message_of(Job.create("s3://photos/a.jpg", job_id=name)))
    assert ["one", "two", "three"] == [message.headers["id"] for message in side.look("hmt_pass")]
