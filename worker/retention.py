"""What becomes of old dead letters: each is archived to S3, then dropped, so nothing goes unseen."""

import json
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from hmt_pass import keys
from hmt_pass.errors import HmtPassError, StoreError
from worker.archive import Archive
from worker.dead_letter_index import CHUNK
from worker.letters import LetterId
from worker.observe import log
from worker.puts import Put
from worker.services import Services
from worker.wanted import Wanted

EVERY_S = 3600.0


class Retention:
    """Expires what is older than HMT_PASS_DEAD_LETTER_TTL_S; `clock` gives Unix time. Methods raise StoreError."""

    def __init__(self, services: Services, archive: Archive, clock: Callable[[], float]) -> None:
        self._services = services
        self._letters = services.dead_letters
        self._archive = archive
        self._clock = clock

    def expire(self) -> int:
        """Archive and drop what is too old; returns how many. One worker of the fleet does, once in EVERY_S."""
        ttl_s = self._services.settings.dead_letter_ttl_s
        until = self._clock() - ttl_s
        if not ttl_s or not self._letters.has(until) or not self._is_our_turn():
            return 0
        expired = 0
        while dropped := self._expire_some(until):
            expired += dropped
        self._letters.keep_in_step()
        return expired

    def _is_our_turn(self) -> bool:
        worker = self._services.worker
        return bool(self._services.store.set(keys.DEAD_LETTERS_EXPIRY, worker, nx=True, px=int(EVERY_S * 900)))

    def _expire_some(self, until: float) -> int:
        """The oldest CHUNK: the archive first, so a kill in between archives them twice."""
        letters = [letter for letter, _ in self._letters.select(Wanted(until=until, limit=CHUNK))]
        puts = [(letter, put) for letter, put in zip(letters, self._letters.puts(letters), strict=True) if put]
        if not puts or not self._is_archived(puts):
            return 0
        dropped = self._letters.discard_all(letter for letter, _ in puts)
        self._services.claims.drop(dropped, self._services.settings.status_ttl_s)
        return len(dropped)

    def _is_archived(self, puts: Sequence[tuple[LetterId, Put]]) -> bool:
        moment = datetime.fromtimestamp(self._clock(), UTC)
        name = f"{moment:%Y-%m-%d}/{moment:%H%M%S}-{secrets.token_hex(4)}"
        try:
            address = self._archive.keep("dead-letters", name, [_line(letter, put) for letter, put in puts])
        except StoreError:
            raise
        except HmtPassError as error:
            log.warning("dead_letters.kept", reason=str(error))
            return False
        log.info("dead_letters.expired", letters=len(puts), archive=address)
        return True


def _line(letter: LetterId, put: Put) -> dict[str, Any]:
    """The dead letter as it is shown, and the message to enqueue it with again."""
    return {**put.letter.as_dict(), "put_at": letter.put_at, "message": json.loads(put.message.to_json())}
