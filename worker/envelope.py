"""A task message as it lies in a Redis list, for the moves that celery does not know: delay, dead letter, redrive.

The format is kombu's (virtual transport, protocol 2) and is written out in docs/protocol.md.
"""

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from kombu.message import Message

from hmt_pass.job import Lane


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
        """What a consumer was given."""
        body = message.body.encode() if isinstance(message.body, str) else bytes(message.body or b"")
        queue = (message.delivery_info or {}).get("routing_key") or ""
        return cls(message.headers, body, message.content_type or "", message.content_encoding or "", queue)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        fields = json.loads(text)
        return cls(**{**fields, "body": base64.b64decode(fields["body"])})

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
