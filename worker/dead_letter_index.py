"""Dead letters by job id, in Redis: what every look at them asks, on any broker. Reading moves nothing.

100,000 of them are read in some seconds, in chunks of one round trip; docs/operations.md has the figures.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, TypeVar

from hmt_pass import keys
from hmt_pass.store import Store
from worker.alone import alone
from worker.letters import DeadLetter, LetterId, letter_ids
from worker.puts import Put, letter_of
from worker.wanted import ALL, Wanted

CHUNK = 500  # dead letters a round trip: about 2 MB
TIDY_LOCK_S = 120

T = TypeVar("T")


class DeadLetterIndex:
    """The reading half. Every method raises StoreError when Redis does not answer."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def find(self, job_id: str) -> DeadLetter | None:
        """The dead letter of a job, or None."""
        text = self.store.hget(keys.DEAD_LETTERS, job_id)
        return letter_of(text) if text else None

    def select(self, wanted: Wanted = ALL) -> Iterator[tuple[LetterId, DeadLetter]]:
        """Every dead letter that is meant, oldest first. One that goes meanwhile is left out, one that comes too."""
        return islice(self._select(wanted), wanted.limit)

    def list(self, wanted: Wanted = ALL) -> Iterator[DeadLetter]:
        """The same without their ids."""
        return (letter for _, letter in self.select(wanted))

    def puts(self, letters: Sequence[LetterId]) -> Sequence[Put | None]:
        """Each letter with its message; None when it is gone or another has taken its place. In one round trip."""
        if not letters:
            return []
        job_ids = [letter.job_id for letter in letters]
        with self.store.pipeline() as pipe:
            pipe.zmscore(keys.DEAD_LETTERS_BY_TIME, job_ids)
            pipe.hmget(keys.DEAD_LETTERS, job_ids)
            scores, texts = pipe.execute()
        found = zip(letters, scores, texts, strict=True)
        return [Put.from_entry(text) if text and score == letter.put_at else None for letter, score, text in found]

    def has(self, until: float) -> bool:
        """Whether there is one that was put at this Unix time or before."""
        return bool(self.store.zcount(keys.DEAD_LETTERS_BY_TIME, "-inf", until))

    def missing(self, job_ids: Sequence[str]) -> Sequence[str]:
        """Those that have no dead letter."""
        scores = self.store.zmscore(keys.DEAD_LETTERS_BY_TIME, list(job_ids)) if job_ids else []
        return [job_id for job_id, score in zip(job_ids, scores, strict=True) if score is None]

    def mark(self) -> tuple[int, float]:
        """Another one after each change: how many there are, and when the newest was put (Unix time)."""
        newest: Any = self.store.zrevrange(keys.DEAD_LETTERS_BY_TIME, 0, 0, withscores=True)
        return int(self.store.zcard(keys.DEAD_LETTERS_BY_TIME)), newest[0][1] if newest else 0.0

    def count(self) -> int:
        """How many there are."""
        return int(self.store.hlen(keys.DEAD_LETTERS))

    def _select(self, wanted: Wanted) -> Iterator[tuple[LetterId, DeadLetter]]:
        for chunk in chunks(self.ids(wanted), CHUNK):
            texts = self.store.hmget(keys.DEAD_LETTERS, [letter.job_id for letter in chunk])
            for letter_id, text in zip(chunk, texts, strict=True):
                letter = letter_of(text) if text else None
                if letter and wanted.takes(letter):
                    yield letter_id, letter

    def ids(self, wanted: Wanted = ALL) -> Sequence[LetterId]:
        """The letters of the jobs and times that are meant, oldest first."""
        since = float("-inf") if wanted.since is None else wanted.since
        until = float("inf") if wanted.until is None else wanted.until
        if wanted.job_ids:
            scores = self.store.zmscore(keys.DEAD_LETTERS_BY_TIME, list(wanted.job_ids))
            found = zip(wanted.job_ids, scores, strict=True)
            named = {LetterId(job_id, score) for job_id, score in found if score is not None}
            return sorted((letter for letter in named if since <= letter.put_at <= until), key=lambda one: one.put_at)
        pairs: Any = self.store.zrangebyscore(keys.DEAD_LETTERS_BY_TIME, since, until, withscores=True)
        return letter_ids(pairs)


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    left = iter(items)
    while chunk := list(islice(left, size)):
        yield chunk


def tidying_alone(store: Store) -> AbstractContextManager[bool]:
    """Whether no other process goes through the queue; one that died is waited for."""
    return alone(store, keys.DEAD_LETTERS_TIDIED, TIDY_LOCK_S)
