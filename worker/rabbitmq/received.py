"""What a message of the dead-letter queue is: a dead letter as it was put, or what RabbitMQ itself moved there."""

import hashlib
import json
from contextlib import suppress
from typing import Any

from kombu.message import Message

from hmt_pass.errors import InvalidJobError
from hmt_pass.job import Lane, check_job_id
from worker.claims import now
from worker.envelope import TaskMessage
from worker.letters import DeadLetter
from worker.puts import Put, own_headers

DELIVERED_TOO_OFTEN = "delivered too often"


def received(message: Message, score: float) -> Put:
    """What was found in the queue; `score` (Unix time) is for a message that nobody put."""
    found = TaskMessage.received(message)
    with suppress(KeyError, TypeError, ValueError):  # anybody may write there
        return Put.from_headers(found.headers, found.body, found.content_type, found.content_encoding)
    own = own_headers(found.headers)
    job = TaskMessage(own, found.body, found.content_type, found.content_encoding, _origin(message))
    return Put(_given_up(job), job, score, "")


def _origin(message: Message) -> str:
    """The queue that RabbitMQ took the message from."""
    with suppress(AttributeError, IndexError, KeyError, TypeError):
        deaths: Any = message.headers["x-death"]
        return str(deaths[0]["queue"])
    return Lane.INTERACTIVE.queue


def _given_up(message: TaskMessage) -> DeadLetter:
    image = flag = None
    with suppress(AttributeError, IndexError, KeyError, TypeError, ValueError):
        kwargs = json.loads(message.body)[1]
        image, flag = str(kwargs["image"]), int(kwargs.get("hmt_flag", 0))
    detail = f"RabbitMQ gave it up in {message.queue}"
    return DeadLetter(_job_id(message), DELIVERED_TOO_OFTEN, now(), detail=detail, image=image, hmt_flag=flag)


def _job_id(message: TaskMessage) -> str:
    try:
        return check_job_id(message.headers.get("id"))
    except InvalidJobError:
        return f"invalid-{hashlib.sha256(message.body).hexdigest()[:24]}"
