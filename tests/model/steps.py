"""The seams of a worker as steps: every round trip to Redis, S3 and the endpoint stops at a gate.

A worker is a function of the answers it was given. So it is run from its start with the answers that it has had so far,
and stopped at the first round trip that has none yet: no thread, no clock, and the code under test is not touched.
"""

import copy
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from fakes import FakeClient, FakeStorage, reply

from hmt_pass.errors import HmtPassError, NotSentError, StorageError, StoreError, UnansweredError
from hmt_pass.job import ImageRef
from hmt_pass.permit import Reply
from hmt_pass.store import Store
from worker.storage import MAX_DOCUMENT_BYTES, Photo


class Stopped(BaseException):
    """Ends a run at the round trip that has no answer yet."""


@dataclass(frozen=True, slots=True)
class Step:
    """A round trip that a worker is about to make.

    `perform` may be called again and again, each time on another state of the world. `lost` is what the worker is told
    when the request or the answer is lost. `sha256` is the content's when it is a call of the endpoint.
    """

    label: str
    perform: Callable[[], Any]
    lost: HmtPassError
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from a step: a value, or an error that the seam raises."""

    value: Any = None
    error: HmtPassError | None = None

    def __str__(self) -> str:
        if self.error:
            return f"{type(self.error).__name__}"
        found = self.value[0] if isinstance(self.value, list) and self.value else self.value
        return str(found)[:40] if isinstance(found, str | int | None) else type(found).__name__


class Gate:
    """Hands out the answers of one run, in order, and stops the run after the last of them."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._answers = iter(answers)
        self.waiting: Step | None = None

    def pass_through(self, step: Step) -> Any:  # noqa: ANN401  whatever the seam answers
        """The step's answer, or Stopped, again and again once it was raised: a stopped worker does nothing more."""
        answer = None if self.waiting else next(self._answers, None)
        if answer is None:
            self.waiting = self.waiting or step
            raise Stopped
        if answer.error:
            raise answer.error
        return copy.copy(answer.value)  # a worker lets go of a photo's bytes, and the next run begins with it again


class SteppedStore(Store):
    """A Store whose round trips are steps on `below`; `names` tells the scripts of the worker apart in a trace."""

    def __init__(self, below: Store, gate: Gate, names: Mapping[str, str]) -> None:
        super().__init__(connection_pool=below.connection_pool)
        self._below, self._gate, self._names = below, gate, names

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  redis-py's own types
        step = Step(_named(args, self._names), lambda: self._below.execute_command(*args, **options), _no_redis())
        return self._gate.pass_through(step)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> "_Pipeline":
        pipe = _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipe.below, pipe.gate, pipe.names = self._below, self._gate, self._names
        return pipe


class _Pipeline(redis.client.Pipeline):
    """One step, whatever it holds: a transaction is not cut in two by a kill."""

    below: Store
    gate: Gate
    names: Mapping[str, str]

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands, is_transaction = list(self.command_stack), self.explicit_transaction or self.transaction
        self.reset()

        def perform() -> list[Any]:
            pipe = self.below.pipeline(is_transaction)
            for args, options in commands:
                pipe.execute_command(*args, **options)
            return pipe.execute(raise_on_error)

        label = " + ".join(_named(args, self.names) for args, _ in commands)
        return self.gate.pass_through(Step(label, perform, _no_redis()))


class SteppedStorage(FakeStorage):
    """A FakeStorage whose round trips are steps on `below`."""

    def __init__(self, below: FakeStorage, gate: Gate) -> None:
        super().__init__()
        self._below, self._gate = below, gate

    def get(self, image: ImageRef, max_bytes: int, etag: str | None = None) -> Photo:
        return self._step("S3 get the photo", lambda: self._below.get(image, max_bytes, etag))

    def put_json(self, bucket: str, key: str, document: Mapping[str, Any]) -> str:
        return self._step("S3 put the result", lambda: self._below.put_json(bucket, key, document))

    def get_json(self, address: str, max_bytes: int = MAX_DOCUMENT_BYTES) -> dict[str, Any]:
        return self._step("S3 get a result", lambda: self._below.get_json(address, max_bytes))

    def _step(self, label: str, perform: Callable[[], Any]) -> Any:  # noqa: ANN401  whatever S3 answers
        return self._gate.pass_through(Step(label, perform, StorageError("away")))


@dataclass(frozen=True, slots=True, order=True)
class Charge:
    """One line of the endpoint's own books."""

    sequence_id: str
    sha256: str


class SteppedClient(FakeClient):
    """An endpoint that reads everything and keeps its own books; every reply has a request_id of its own.

    When a lease has lapsed since the leave to call, that is over by the worker's own clock: it sends nothing.
    """

    def __init__(self, books: list[Charge], gate: Gate, has_leases: Callable[[str], bool]) -> None:
        super().__init__()
        self._books, self._gate, self._has_leases = books, gate, has_leases

    def recognize(self, image: bytes | None = None, **options: object) -> Reply:
        charge = Charge(str(options["sequence_id"]), hashlib.sha256(image or b"").hexdigest())

        def perform() -> Reply:
            if not self._has_leases(charge.sha256):
                raise NotSentError("too late")
            self._books.append(charge)
            return reply(request_id=f"TID-{charge.sequence_id}")

        return self._gate.pass_through(Step("CALL the endpoint", perform, UnansweredError("lost"), charge.sha256))


def _no_redis() -> StoreError:
    return StoreError("Redis: no answer")


def _named(args: Sequence[Any], names: Mapping[str, str]) -> str:
    if args[0] == "EVALSHA":
        return names.get(args[1], args[1])
    key = str(args[1]).removeprefix("hmt_pass:") if len(args) > 1 else ""
    kind, _, rest = key.partition(":")
    return f"{args[0]} {rest.partition(':')[2] or kind}"
