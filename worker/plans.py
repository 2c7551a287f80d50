"""What a redrive would do, found out before it does anything."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from hmt_pass import keys
from hmt_pass.errors import InvalidJobError, ObjectChangedError, ObjectDeniedError, ObjectMissingError
from hmt_pass.job import ImageRef
from hmt_pass.status import State
from worker.dead_letter_index import CHUNK, chunks
from worker.letters import DeadLetter, LetterId
from worker.services import Services


class Verdict(StrEnum):
    """What a redrive would do with a dead letter: move it, or leave it and why. The set is closed."""

    ELIGIBLE = "eligible"
    FINISHED = "recognized or rejected meanwhile"
    OPEN = "waiting or running"
    FUTILE = "would die again"
    SOURCE_GONE = "source image gone"
    SOURCE_CHANGED = "source image changed"
    SOURCE_DENIED = "source image not readable"


@dataclass(frozen=True, slots=True)
class Plan:
    """The dead letters by verdict. `paid` of the eligible ones have a reply already, so no call is made for them.

    `price_per_call` is None when no setting names it.
    """

    letters: Mapping[Verdict, Sequence[LetterId]]
    paid: int
    price_per_call: Decimal | None

    @property
    def eligible(self) -> Sequence[LetterId]:
        """The letters that a redrive moves, oldest first."""
        return self.letters[Verdict.ELIGIBLE]

    @property
    def calls(self) -> int:
        """How many calls are expected: one a job. A retry after an answer other than 0000 is not charged."""
        return len(self.eligible) - self.paid

    @property
    def cost(self) -> Decimal | None:
        """What those cost, in the currency of the setting."""
        return None if self.price_per_call is None else self.calls * self.price_per_call

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON, with the job ids of every verdict."""
        jobs = {str(verdict): [letter.job_id for letter in letters] for verdict, letters in self.letters.items()}
        cost = None if self.cost is None else str(self.cost)
        return {"eligible": len(self.eligible), "expected_calls": self.calls, "expected_cost": cost, "jobs": jobs}


class _Candidate(NamedTuple):
    """A letter and where its job stands."""

    id: LetterId
    letter: DeadLetter
    state: str | None
    etag: str | None
    paid: bool


def plan(
    services: Services,
    letters: Iterable[tuple[LetterId, DeadLetter]],
    *,
    checks_sources: bool,
    progress: Callable[[int], object] = lambda _: None,
) -> Plan:
    """The verdict on each letter. `progress` is told how many more have theirs.

    Raises StoreError, and StorageError when S3 does not say whether a source image is there.
    """
    verdicts: dict[Verdict, list[LetterId]] = {verdict: [] for verdict in Verdict}
    paid = 0
    with ExitStack() as stack:
        check = _Sources(services, stack).verdicts if checks_sources else _unseen
        for chunk in chunks(letters, CHUNK):
            candidates = _candidates(services, chunk)
            for candidate, verdict in zip(candidates, _judge(candidates, check), strict=True):
                verdicts[verdict].append(candidate.id)
                paid += candidate.paid and verdict is Verdict.ELIGIBLE
            progress(len(chunk))
    return Plan(verdicts, paid, services.settings.price_per_call)


def _candidates(services: Services, letters: Sequence[tuple[LetterId, DeadLetter]]) -> list[_Candidate]:
    with services.store.pipeline(transaction=False) as pipe:
        for letter_id, _ in letters:
            pipe.hmget(keys.job(letter_id.job_id), ["state", "etag"])
            pipe.exists(keys.receipt(letter_id.job_id))
        answers = pipe.execute()
    standing = zip(letters, answers[::2], answers[1::2], strict=True)
    return [_Candidate(*letter, state, etag, bool(paid)) for letter, (state, etag), paid in standing]


_Check = Callable[[Sequence[_Candidate]], Sequence[Verdict]]


def _judge(candidates: Sequence[_Candidate], check: _Check) -> list[Verdict]:
    """By the job's state, and by the source of those that pass."""
    verdicts = [_by_state(candidate) for candidate in candidates]
    passed = [number for number, verdict in enumerate(verdicts) if verdict is Verdict.ELIGIBLE]
    for number, verdict in zip(passed, check([candidates[number] for number in passed]), strict=True):
        verdicts[number] = verdict
    return verdicts


def _by_state(candidate: _Candidate) -> Verdict:
    match candidate.state:
        case State.RECOGNIZED | State.REJECTED:
            return Verdict.FINISHED
        case State.QUEUED | State.RUNNING | State.RETRYING:
            return Verdict.OPEN
        case _:
            return Verdict.ELIGIBLE if candidate.letter.cure.redrive else Verdict.FUTILE


def _unseen(candidates: Sequence[_Candidate]) -> list[Verdict]:
    return [Verdict.ELIGIBLE] * len(candidates)


class _Sources:
    """Asks S3 whether the photos are there, as many at once as a worker has threads."""

    def __init__(self, services: Services, stack: ExitStack) -> None:
        self._storage = services.storage
        self._threads = stack.enter_context(ThreadPoolExecutor(services.settings.concurrency, "source"))

    def verdicts(self, candidates: Sequence[_Candidate]) -> list[Verdict]:
        return list(self._threads.map(self._verdict, candidates))

    def _verdict(self, candidate: _Candidate) -> Verdict:
        if candidate.letter.image is None or candidate.paid:  # what is paid for is only stored
            return Verdict.ELIGIBLE
        try:
            self._storage.check_image(ImageRef.parse(candidate.letter.image), candidate.etag or None)
        except InvalidJobError:
            return Verdict.FUTILE
        except ObjectMissingError:
            return Verdict.SOURCE_GONE
        except ObjectChangedError:
            return Verdict.SOURCE_CHANGED
        except ObjectDeniedError:
            return Verdict.SOURCE_DENIED
        return Verdict.ELIGIBLE
