"""The ledger: every call of the endpoint, as it ended, to hold against the vendor's invoice.

A call is written in the step that ends it (worker.call_scripts), to a stream in Redis; one worker moves what is there
to S3 in batches. A batch is named after its first entry: cut short, it is written again with at least the same lines.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self, cast

from hmt_pass import keys
from hmt_pass.errors import SettingsError
from hmt_pass.store import Store
from worker.alone import alone
from worker.archive import Archive
from worker.spend import Spend

KIND = "ledger"
BATCH = 1000  # calls an object: 0.4 MB
ARCHIVE_AFTER = timedelta(seconds=60)
KEEP = timedelta(days=2)  # in Redis, once it is in S3 too
LOCK_S = 60
_NOTHING = "0-0"  # an id before all others


@dataclass(frozen=True, slots=True)
class Entry:
    """One call. Times are ISO 8601 in UTC; `charge` is 1 charged, 2 not, None when no answer said; `ms` its duration.

    `possibly_charged`: sent, and never seen to be answered. `error` says why there is no code.
    """

    entry_id: str
    job_id: str
    attempt: int
    sequence_id: str
    started_at: str
    ended_at: str
    ms: int | None
    code: str | None
    charge: int | None
    request_id: str | None
    error: str | None
    possibly_charged: bool

    @classmethod
    def from_line(cls, line: Mapping[str, Any]) -> Self:
        """An entry out of what the stream or the archive holds."""
        return cls(**{name: line[name] for name in cls.__slots__})

    @property
    def at(self) -> datetime:
        """When it was written down, by Redis' clock."""
        return _moment(self.entry_id)


class Ledger:
    """Every method raises StoreError when Redis, StorageError and its like when S3 does not answer."""

    def __init__(self, store: Store, archive: Archive, spend: Spend) -> None:
        self._store = store
        self._archive = archive
        self._spend = spend

    def since(self, moment: datetime) -> list[Entry]:
        """Every call since then, oldest first. Of a call that was first taken for lost, the last word alone."""
        last: dict[str, Entry] = {}
        for entry in self._entries(moment):
            last.pop(entry.sequence_id, None)
            last[entry.sequence_id] = entry
        return list(last.values())

    def archive_due(self, now: datetime) -> int:
        """Move a batch to S3 when it is full or old enough; returns how many calls. One worker at a time."""
        with alone(self._store, keys.LEDGER_KEEPER, LOCK_S) as is_our_turn:
            return self._archive_next(now) if is_our_turn else 0

    def _find_its_place(self) -> str:
        """Redis is new or has lost its data: go on after what is in S3, whose sums of this month are counted again."""
        place, month = _NOTHING, self._spend.month_began_at()
        with self._store.pipeline() as pipe:
            for line in self._in_s3(month):
                place = line["entry_id"]
                for entry in _after(month, [line]):
                    for period in self._spend.periods(entry.at):
                        pipe.hincrby(keys.spend(period), "calls", 1)
                        pipe.hincrby(keys.spend(period), "charged", int(entry.charge == 1))
                        pipe.hincrby(keys.spend(period), "possibly_charged", int(entry.possibly_charged))
            pipe.set(keys.LEDGER_ARCHIVED, place)
            pipe.execute()
        return place

    def _archive_next(self, now: datetime) -> int:
        place = str(self._store.get(keys.LEDGER_ARCHIVED) or self._find_its_place())
        batch = list(self._in_redis(f"({place}", BATCH))
        if not batch or (len(batch) < BATCH and now - _moment(batch[0]["entry_id"]) < ARCHIVE_AFTER):
            return 0
        self._archive.keep(KIND, _name(batch[0]["entry_id"]), batch)
        last = batch[-1]["entry_id"]
        with self._store.pipeline() as pipe:
            pipe.set(keys.LEDGER_ARCHIVED, last)
            oldest = f"{int((now - KEEP).timestamp() * 1000)}-0"
            pipe.xtrim(keys.LEDGER, minid=min(oldest, last, key=_order), approximate=False)
            pipe.execute()
        return len(batch)

    def _entries(self, moment: datetime) -> Iterator[Entry]:
        """What is in S3, then what is only in Redis."""
        seen = _NOTHING
        for line in self._in_s3(moment):
            if _order(line["entry_id"]) > _order(seen):
                seen = line["entry_id"]
                yield from _after(moment, [line])
        yield from _after(moment, self._in_redis(f"({seen}"))

    def _in_s3(self, moment: datetime) -> Iterator[dict[str, Any]]:
        """From the day before on, for a batch may have begun then."""
        with suppress(SettingsError):
            for name in self._archive.names(KIND, f"{moment.astimezone(UTC) - timedelta(days=1):%Y/%m/%d}"):
                yield from self._archive.read(KIND, name)

    def _in_redis(self, start: str, limit: int | None = None) -> Iterator[dict[str, Any]]:
        while True:
            found = cast(
                "list[tuple[str, dict[str, str]]]", self._store.xrange(keys.LEDGER, start, count=limit or BATCH)
            )
            for entry_id, fields in found:
                yield {"entry_id": entry_id, "job_id": fields["job_id"], **json.loads(fields["call"])}
            if limit or len(found) < BATCH:
                return
            start = f"({found[-1][0]}"


def _after(moment: datetime, lines: Iterable[Mapping[str, Any]]) -> Iterator[Entry]:
    for line in lines:
        entry = Entry.from_line(line)
        if entry.at >= moment:
            yield entry


def _moment(entry_id: str) -> datetime:
    return datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC)


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)


def _name(entry_id: str) -> str:
    return f"{_moment(entry_id):%Y/%m/%d}/{entry_id}"
