"""What worker.ledger and worker.spend promise: every call, once, in Redis or in S3, whatever Redis loses."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from callers import Caller
from fakes import FakeStorage

from hmt_pass import keys
from hmt_pass.errors import SettingsError, StorageError
from hmt_pass.store import Store
from worker import ledger as ledger_module
from worker.archive import Archive
from worker.ledger import Ledger
from worker.limits import Limits
from worker.spend import Spend

LATER = timedelta(minutes=2)


@dataclass
class Books:
    """A caller and the books that its calls go into."""

    store: Store
    storage: FakeStorage
    caller: Caller
    spend: Spend
    ledger: Ledger

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.store.time()[0], UTC)

    def job_ids(self) -> list[str]:
        return [entry.job_id for entry in self.ledger.since(self.now - LATER)]

    def objects(self) -> list[str]:
        return list(self.storage.keys("results", "archive/"))


def books_on(store: Store, **limits: Any) -> Books:  # noqa: ANN401  those of Limits
    storage, known = FakeStorage(), Limits(**limits)
    spend = Spend(store, known, Decimal("0.25"), budget_day=Decimal("2.60"))
    ledger = Ledger(store, Archive(storage, "results", "archive/"), spend)  # type: ignore[arg-type]  # a fake
    return Books(store, storage, Caller.on(store, **limits), spend, ledger)


@pytest.fixture
def books(store: Store) -> Books:
    return books_on(store)


def test_a_call_is_in_the_ledger_as_it_ended(books: Books) -> None:
    books.caller.call("a", "1005", ms=120)
    [entry] = books.ledger.since(books.now - LATER)
    assert ("a", 1, "a-1", "TID-1", "1005", 2, 120, False) == (
        entry.job_id,
        entry.attempt,
        entry.sequence_id,
        entry.request_id,
        entry.code,
        entry.charge,
        entry.ms,
        entry.possibly_charged,
    )
    assert abs(entry.at - books.now) < timedelta(seconds=5)


def test_calls_from_before_are_left_out(books: Books) -> None:
    books.caller.call("a")
    assert [] == books.ledger.since(books.now + LATER)


def test_a_batch_goes_to_s3_when_it_is_old_enough(books: Books) -> None:
    for name in ("a", "b"):
        books.caller.call(name)
    assert 0 == books.ledger.archive_due(books.now)
    assert 2 == books.ledger.archive_due(books.now + LATER)
    [key] = books.objects()
    assert key.startswith(f"archive/ledger/{books.now:%Y/%m/}")
    assert (["a", "b"], 0) == (books.job_ids(), books.ledger.archive_due(books.now + LATER))


def test_a_batch_goes_to_s3_when_it_is_full(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "BATCH", 3)
    for number in range(7):
        books.caller.call(f"job-{number}")
    assert [3, 3, 0] == [books.ledger.archive_due(books.now) for _ in range(3)]
    assert [f"job-{number}" for number in range(7)] == books.job_ids()


def test_what_is_in_s3_leaves_redis_after_some_days(books: Books) -> None:
    books.caller.call("a")
    books.ledger.archive_due(books.now + LATER)
    assert 1 == books.store.xlen(keys.LEDGER)
    books.caller.call("b")
    books.ledger.archive_due(books.now + timedelta(days=3))
    books.caller.call("c")
    books.ledger.archive_due(books.now + timedelta(days=3))
    assert (["a", "b", "c"], True) == (books.job_ids(), books.store.xlen(keys.LEDGER) <= 1)


def test_a_batch_that_was_cut_short_is_written_again_under_its_name(books: Books) -> None:
    books.caller.call("a")
    books.ledger.archive_due(books.now + LATER)
    books.store.set(keys.LEDGER_ARCHIVED, "0-0")  # killed before it was noted
    books.caller.call("b")
    assert 2 == books.ledger.archive_due(books.now + LATER)
    assert (1, ["a", "b"]) == (len(books.objects()), books.job_ids())


def test_an_s3_that_refuses_costs_nothing(books: Books) -> None:
    books.caller.call("a")
    books.storage.put_error = StorageError("away")
    with pytest.raises(StorageError):
        books.ledger.archive_due(books.now + LATER)
    books.storage.put_error = None
    assert (1, ["a"]) == (books.ledger.archive_due(books.now + LATER), books.job_ids())


def test_one_worker_at_a_time_writes(books: Books) -> None:
    books.caller.call("a")
    books.store.set(keys.LEDGER_KEEPER, "1")
    assert 0 == books.ledger.archive_due(books.now + LATER)


def test_ledger_and_budget_survive_a_redis_that_has_lost_everything(store: Store) -> None:
    books = books_on(store, calls_a_month=3)
    books.caller.call("a")
    books.caller.call("b", None, error="unanswered", possibly_charged=True)
    books.ledger.archive_due(books.now + LATER)

    store.flushall()
    books.caller.call("c", "1005")
    books.ledger.archive_due(books.now + LATER)

    assert ["a", "b", "c"] == books.job_ids()
    month = books.spend.this_month()
    assert (3, 1, 1) == (month.calls, month.charged, month.possibly_charged)
    assert not books.spend.is_spent()
    books.caller.call("d")
    assert books.spend.is_spent()


def test_a_call_that_was_taken_for_lost_is_listed_once_with_the_truth(books: Books) -> None:
    claim, attempt = books.caller.begin("a")
    books.store.delete(keys.claim("a"))
    other = Caller.on(books.store, "b-host:2")
    other.claims.claim(claim.job)
    books.ledger.archive_due(books.now + LATER)
    books.caller.end(claim, attempt)
    [entry] = books.ledger.since(books.now - LATER)
    assert ("0000", False) == (entry.code, entry.possibly_charged)


def test_an_archive_without_a_bucket_says_what_to_set(store: Store) -> None:
    storage: Any = FakeStorage()
    archive = Archive(storage, None, "archive/")
    with pytest.raises(SettingsError, match="HMT_PASS_ARCHIVE_BUCKET"):
        archive.keep("ledger", "a", [])
    books = Caller.on(store)
    books.call("a")
    ledger = Ledger(store, archive, Spend(store, Limits()))
    assert 1 == len(ledger.since(datetime(2020, 1, 1, tzinfo=UTC)))


def test_the_sums_of_a_day_have_a_price(store: Store) -> None:
    books = books_on(store, calls_a_day=10)
    for number in range(7):
        books.caller.call(f"job-{number}")
    books.caller.call("lost", None, error="unanswered", possibly_charged=True)
    today = books.spend.today()
    assert (8, Decimal("2.00"), Decimal("2.60"), Decimal("0.8")) == (
        today.calls,
        today.cost,
        today.budget,
        today.share,
    )


def test_a_budget_is_warned_of_once(store: Store) -> None:
    books = books_on(store, calls_a_day=2)
    books.caller.call("a")
    assert not books.spend.warn_once(books.spend.today())
    books.caller.call("b")
    assert [True, False] == [books.spend.warn_once(books.spend.today()) for _ in range(2)]
    assert not books.spend.warn_once(books.spend.this_month())  # has no budget
