"""One message of the dead-letter queue: a dead letter as it was put, or what RabbitMQ itself moved there."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from kombu.message import Message

from hmt_pass.errors import InvalidJobError
from hmt_pass.job import Lane, check_job_id
from worker.claims import now
from worker.dead_letters import HEADER, DeadLetter
from worker.envelope import TaskMessage

PUT_HEADER = "hmt_pass_put"
DELIVERED_TOO_OFTEN = "delivered too often"


@dataclass(frozen=True, slots=True)
class Put:
    """A dead letter, the job's message, when it was put (Unix time), and an id that no other put has.

    The id is empty when nobody put it: RabbitMQ gave the message up.
    """

    letter: DeadLetter
    message: TaskMessage
    score: float
    put_id: str

    @property
    def headers(self) -> dict[str, Any]:
        """What the message in the queue has beside the job's own headers."""
        mark = {"id": self.put_id, "at": self.score, "queue": self.message.home}
        return {HEADER: self.letter.as_dict(), PUT_HEADER: mark}

    def to_json(self) -> str:
        """The entry of the index."""
        fields = {"letter": self.letter.as_dict(), "message": self.message.to_json()}
        return json.dumps({**fields, "score": self.score, "put_id": self.put_id})

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`, out of the parsed entry."""
        letter, message = DeadLetter.from_dict(entry["letter"]), TaskMessage.from_json(entry["message"])
        return cls(letter, message, float(entry["score"]), str(entry["put_id"]))

    @classmethod
    def received(cls, message: Message, score: float) -> Self:
        """What was found in the queue; `score` is for a message that nobody put."""
        found = TaskMessage.received(message)
        own = {name: value for name, value in found.headers.items() if name not in {HEADER, PUT_HEADER}}
        with suppress(KeyError, TypeError, ValueError):  # anybody may write there
            mark, letter = found.headers[PUT_HEADER], DeadLetter.from_dict(found.headers[HEADER])
            job = TaskMessage(own, found.body, found.content_type, found.content_encoding, str(mark["queue"]))
            return cls(letter, job, float(mark["at"]), str(mark["id"]))
        job = TaskMessage(own, found.body, found.content_type, found.content_encoding, _origin(message))
        return cls(_given_up(job), job, score, "")


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
