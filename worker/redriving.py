"""The run of a named redrive: letter by letter, at a rate, for as long as something is left of it."""

import time
from collections.abc import Callable
from contextlib import suppress

from hmt_pass.errors import StoreError
from worker.dead_letter_index import CHUNK, chunks
from worker.letters import LetterId
from worker.redrives import Redrives
from worker.services import Services

DEFAULT_RATE_PER_S = 50
BATCHES_PER_S = 2  # of a run with a rate: so that Ctrl-C and a call-off are heeded at once
ASK_AGAIN_S = 1.0


class Redriving:
    """Moves the letters of named redrives, for `by`. Methods raise StoreError; what is left then is for the next run.

    `progress` is told how many letters are done with, batch by batch; `waits` once, when another run has to end first.
    """

    def __init__(
        self,
        services: Services,
        by: str,
        progress: Callable[[int], object] = lambda _: None,
        waits: Callable[[], object] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._services = services
        self._letters = services.dead_letters
        self._redrives = Redrives(services.dead_letters.store)
        self._by = by
        self._progress = progress
        self._waits = waits
        self._clock = clock
        self._sleep = sleep

    def run(self, name: str, rate_per_s: int = DEFAULT_RATE_PER_S) -> int:
        """Move what is left of a redrive, at most `rate_per_s` a second (0: as fast as it goes); returns how many."""
        token = self._begin(name)
        try:
            moved = self._move_all(name, token, rate_per_s)
        finally:
            self._redrives.end(token)
        with suppress(StoreError):  # what was asked for is done; housekeeping tidies too
            self._letters.keep_in_step()
        return moved

    def call_off(self, name: str) -> int:
        """Move nothing more of a redrive, by a run under way neither; returns how many letters stay.

        What a run that was killed has revived is dead again. Cut short, it is to be called off once more.
        """
        self._redrives.call_off(name)
        while self._redrives.find(name).running:
            self._sleep(ASK_AGAIN_S)
        stay = 0
        for chunk in chunks(self._redrives.left(name), CHUNK):
            found = [letter.job_id for letter, put in zip(chunk, self._letters.puts(chunk), strict=True) if put]
            self._services.claims.unrevive(found)
            stay += len(found)
        self._redrives.forget_left(name)
        return stay

    def _begin(self, name: str) -> str:
        token = self._redrives.begin(name)
        if token is None:
            self._waits()
        while token is None:
            self._sleep(ASK_AGAIN_S)
            token = self._redrives.begin(name)
        return token

    def _move_all(self, name: str, token: str, rate_per_s: int) -> int:
        began_s, done, moved = self._clock(), 0, 0
        size = min(max(1, rate_per_s // BATCHES_PER_S), CHUNK) if rate_per_s else CHUNK
        while batch := self._redrives.next(name, size):
            moved += self._move(name, batch)
            done += len(batch)
            self._progress(len(batch))
            self._redrives.renew(token)
            if rate_per_s:
                self._sleep(max(0.0, began_s + done / rate_per_s - self._clock()))
        return moved

    def _move(self, name: str, batch: list[LetterId]) -> int:
        """The state first: a worker takes the message of a dead job for one that has its end."""
        found = {letter: put for letter, put in zip(batch, self._letters.puts(batch), strict=True) if put}
        self._redrives.skip(name, [letter for letter in batch if letter not in found])
        self._services.claims.revive([letter.job_id for letter in found], self._by, name)
        return self._letters.redrive(found, name)
