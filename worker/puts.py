"""One message of the dead-letter queue: the job's own, with two more headers: why it died, and where it belongs."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from hmt_pass.job import DEAD_LETTER_QUEUE
from worker.envelope import TaskMessage
from worker.letters import DeadLetter

HEADER = "hmt_pass_dead_letter"
PUT_HEADER = "hmt_pass_put"


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
        return {HEADER: self.letter.record(), PUT_HEADER: mark}

    def envelope(self) -> str:
        """The entry of a Redis list."""
        return self.message.envelope(DEAD_LETTER_QUEUE, self.headers)

    def to_json(self) -> str:
        """The entry of RabbitMQ's index."""
        fields = {"letter": self.letter.record(), "message": self.message.to_json()}
        return json.dumps({**fields, "score": self.score, "put_id": self.put_id})

    @classmethod
    def from_entry(cls, text: str | bytes) -> Self:
        """The inverse of `envelope` and of `to_json`, also as version 0.1.0 wrote them."""
        entry = json.loads(text)
        if "headers" in entry:
            body = base64.b64decode(entry["body"])
            return cls.from_headers(entry["headers"], body, entry["content-type"], entry["content-encoding"])
        letter, message = DeadLetter.from_record(entry["letter"]), TaskMessage.from_json(entry["message"])
        return cls(letter, message, float(entry.get("score", 0)), str(entry.get("put_id", "")))

    @classmethod
    def from_headers(cls, headers: Mapping[str, Any], body: bytes, content_type: str, content_encoding: str) -> Self:
        """The inverse of `headers`. Raises KeyError, TypeError or ValueError when somebody else wrote them."""
        mark, letter = headers[PUT_HEADER], DeadLetter.from_record(headers[HEADER])
        message = TaskMessage(own_headers(headers), body, content_type, content_encoding, str(mark["queue"]))
        return cls(letter, message, float(mark["at"]), str(mark["id"]))


def own_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The job's own headers, without what a put has added."""
    return {name: value for name, value in headers.items() if name not in {HEADER, PUT_HEADER}}


def letter_of(entry: str | bytes) -> DeadLetter:
    """The dead letter in an entry of the index, without its message."""
    fields = json.loads(entry)
    return DeadLetter.from_record(fields["headers"][HEADER] if "headers" in fields else fields["letter"])
