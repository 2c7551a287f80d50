"""Messages that no worker can work on: those that have brought stock workers down, and as many again at random."""

import base64
import json
import random
from collections.abc import Mapping
from typing import Any, Protocol

from chaos.held import Buried

from hmt_pass.job import RECOGNIZE, Lane
from hmt_pass.queues import EXCHANGE, work_queues
from hmt_pass.rabbit import Rabbit
from hmt_pass.store import Store

Entry = dict[str, Any]
SOUND = json.dumps([[], {"image": "s3://hmt-pass-demo/nobody-put-this.png"}, {}])
DEEP = "[" * 100_000 + "]" * 100_000


def entry(name: str, body: str | bytes = SOUND, **headers: object) -> Entry:
    """A message as it lies in a Redis list; sound, but for what is asked for."""
    raw = body.encode() if isinstance(body, str) else body
    standard = {"lang": "py", "task": RECOGNIZE, "id": name, "root_id": name, "retries": 0, "eta": None}
    return {
        "body": base64.b64encode(raw).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {**standard, **headers},
        "properties": {
            "delivery_info": {"exchange": "", "routing_key": Lane.INTERACTIVE.queue},
            "body_encoding": "base64",
            "delivery_tag": name,
        },
    }


def without(message: Entry, *path: str) -> Entry:
    """The message with one part missing."""
    copy = json.loads(json.dumps(message))
    *parents, last = path
    part = copy
    for parent in parents:
        part = part[parent]
    del part[last]
    return dict(copy)


def entries() -> dict[str, Entry]:
    """What any broker can carry: wrong inside."""
    return {
        "body-not-json": entry("p-body-not-json", "{not json"),
        "body-no-triple": entry("p-body-no-triple", '{"a":1}'),
        "body-a-number": entry("p-body-a-number", "5"),
        "kwargs-no-mapping": entry("p-kwargs-no-mapping", json.dumps([[0], [1], {}])),
        "pickle": entry("p-pickle", b"\x80\x04N.") | {"content-type": "application/x-python-serialize"},
        "content-type-unknown": entry("p-content-type-unknown") | {"content-type": "application/evil"},
        "encoding-unknown": entry("p-encoding-unknown") | {"content-encoding": "klingon"},
        "task-unknown": entry("p-task-unknown", task="no.such"),
        "kwargs-wrong": entry("p-kwargs-wrong", json.dumps([[], {"nope": 1}, {}])),
        "id-missing": without(entry("p-id-missing"), "headers", "id"),
        "eta-bad": entry("p-eta-bad", eta="not-a-date"),
        "eta-far": entry("p-eta-far", eta="9999-12-31T23:59:59+00:00"),
        "retries-no-number": entry("p-retries-no-number", retries="x"),
        "nested-deep": entry("p-nested-deep", DEEP),
    }


def raw_entries() -> dict[str, str]:
    """What only a Redis list can hold: broken outside."""
    sound = entry("p-sound")
    broken = {
        "no-headers": without(entry("p-no-headers"), "headers"),
        "bad-base64": entry("p-bad-base64") | {"body": "!!!notb64"},
        "no-tag": without(entry("p-no-tag"), "properties", "delivery_tag"),
        "no-delivery-info": without(entry("p-no-delivery-info"), "properties", "delivery_info"),
        "no-properties": without(sound, "properties"),
    }
    return {
        "no-json": "garbage not json",
        "no-object": "[1,2,3]",
        "hardly-anything": '{"body":"x","headers":{}}',
        **{name: json.dumps(message) for name, message in broken.items()},
    }


def fuzz(seed: int, count: int) -> list[str]:
    """Sound entries with some bytes changed, none of them a sound one any more."""
    chance = random.Random(seed)
    return [_spoilt(json.dumps(entry(f"fuzz-{number}")), chance) for number in range(count)]


def _spoilt(text: str, chance: random.Random) -> str:
    characters = list(text)
    for _ in range(chance.randint(1, 8)):
        characters[chance.randrange(len(characters))] = chr(chance.randrange(1, 0x250))
    return "".join(characters)[: chance.choice([None, chance.randrange(len(text))])]


def as_buried(text: str) -> Buried:
    """What must be left of a list entry: the message that kombu finds in it, else its bytes as they are."""
    try:
        message = json.loads(text)
        properties = message["properties"]
        properties["delivery_tag"] = "anything"
        return Buried.of(message.get("headers") or {}, _body(message.get("body"), properties.get("body_encoding")))
    except (AttributeError, KeyError, TypeError, ValueError):
        return Buried("{}", text.encode())


def _body(body: str | None, encoding: str | None) -> bytes:
    """The body as kombu decodes it, which skips in base64 what does not belong there."""
    if body and encoding not in {"base64", None}:
        raise KeyError(encoding)
    text = (body or "").encode()
    return base64.b64decode(text) if encoding else text


class Poisoner(Protocol):
    """Puts messages on the interactive queue."""

    def push(self, message: Mapping[str, Any]) -> None: ...


class RedisPoisoner:
    def __init__(self, store: Store) -> None:
        self.store = store

    def push(self, message: Mapping[str, Any]) -> None:
        self.store.lpush(Lane.INTERACTIVE.queue, json.dumps(message))


class RabbitPoisoner:
    def __init__(self, url: str) -> None:
        self._url = url
        self._rabbit = Rabbit(url)

    def push(self, message: Mapping[str, Any]) -> None:
        with self._rabbit.confirmed() as publisher:
            publisher.publish(
                base64.b64decode(message["body"]),
                headers=message["headers"],
                content_type=message["content-type"],
                content_encoding=message["content-encoding"],
                exchange=EXCHANGE,
                routing_key=Lane.INTERACTIVE.queue,
                declare=work_queues(self._url),
            )
