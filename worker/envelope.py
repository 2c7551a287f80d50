"""A task message as it lies in a Redis list, for the moves that celery does not know: delay, dead letter, redrive.

The format is kombu's (virtual transport, protocol 2) and is written out in docs/protocol.md.
"""

import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from kombu.message import Message

from hmt_pass.job import RECOGNIZE, Job, Lane

# RabbitMQ's headers about a message's way. Sent again with them, it is taken for one that runs in a circle on its
# second delay of the same length, and deleted (measured on 3.10).
_WAY = re.compile(r"x-(death|first-death|last-death|delivery-count|acquired-count)")
_DELAY = re.compile(r"^([01]\.){28}")  # kombu's native delay, in front of the routing key


@dataclass(frozen=True, slots=True)
class TaskMessage:
    """A task message without its wrapping: celery's headers, the body's bytes, and how they are encoded."""

    headers: Mapping[str, Any]
    body: bytes
    content_type: str
    content_encoding: str
    queue: str

    @classmethod
    def received(cls, message: Message) -> Self:
        """What a consumer was given, without what RabbitMQ has written on its way: see _WAY and _DELAY."""
        body = message.body.encode() if isinstance(message.body, str) else bytes(message.body or b"")
        headers = {name: value for name, value in message.headers.items() if not _WAY.match(name)}
        return cls(headers, body, message.content_type or "", message.content_encoding or "", queue_of(message))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        fields = json.loads(text)
        return cls(**{**fields, "body": base64.b64decode(fields["body"])})

    @classmethod
    def for_job(cls, job: Job) -> Self:
        """A new message for a job, as docs/protocol.md asks of a producer."""
        headers = {"lang": "py", "task": RECOGNIZE, "id": job.job_id, "argsrepr": "()", "kwargsrepr": "{}"}
        body = json.dumps([[], job.kwargs, {}]).encode()
        return cls(headers, body, "application/json", "utf-8", job.lane.queue)

    @property
    def home(self) -> str:
        """The queue to send the message back to; a foreign routing key would name one that nobody consumes."""
        return Lane.of_queue(self.queue).queue

    def to_json(self) -> str:
        """The message as one JSON object, its body in base64."""
        fields = {name: getattr(self, name) for name in ("headers", "content_type", "content_encoding", "queue")}
        return json.dumps({**fields, "body": base64.b64encode(self.body).decode()})

    def envelope(self, queue: str, extra_headers: Mapping[str, Any] | None = None) -> str:
        """The list entry that puts this message on `queue`, under a delivery tag of its own."""
        properties = {
            "correlation_id": self.headers.get("id"),
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        }
        entry = {
            "body": base64.b64encode(self.body).decode(),
            "content-encoding": self.content_encoding,
            "content-type": self.content_type,
            "headers": {**self.headers, **(extra_headers or {})},
            "properties": properties,
        }
        return json.dumps(entry)


def queue_of(message: Message) -> str:
    """The queue that the message was sent to."""
    return _DELAY.sub("", (message.delivery_info or {}).get("routing_key") or "")
