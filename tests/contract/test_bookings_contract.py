"""What worker.bookings promises, over the fake Redis and a real one."""

import pytest
from clocks import Clock

from hmt_pass import keys
from hmt_pass.errors import StoreError
from hmt_pass.store import Store
from worker.bookings import TAKE, Bookings, split_entry

QUEUES = ["hmt_pass", "hmt_pass.bulk"]
LEASE_S = 60.0
DEADLINE_S = 90.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bookings(store: Store, clock: Clock) -> Bookings:
    """Those of one process of a fleet that has been at work for long."""
    found = Bookings(store, LEASE_S, DEADLINE_S, clock)
    found.renew()
    store.hset(keys.BOOKED_STEADY, "since", 1.0)
    return found


def take(store: Store, tag: str) -> list[str] | None:
    """What the transport does on the connection that the event loop watches."""
    names = [*QUEUES, keys.BOOKED, keys.BOOKED_BY_TIME]
    taken: list[str] | None = store.eval(TAKE, len(names), *names, tag)
    return taken


def queue(store: Store, name: str = "hmt_pass") -> list[str]:
    """The entries of a queue, the one that is taken next at the end."""
    return [str(entry) for entry in store.lrange(name, 0, -1)]


def age(store: Store, tag: str, seconds: float) -> None:
    """Let a booking be as old as if its worker had died `seconds` ago."""
    store.zincrby(keys.BOOKED_BY_TIME, -seconds, tag)


def test_taking_a_message_books_it_in_the_same_step(store: Store) -> None:
    store.lpush("hmt_pass", "one", "two")

    assert ["hmt_pass", "one"] == take(store, "tag")

    assert ["two"] == queue(store)
    assert ("hmt_pass", "one") == split_entry(str(store.hget(keys.BOOKED, "tag")))
    assert store.zscore(keys.BOOKED_BY_TIME, "tag") == pytest.approx(store.time()[0], abs=5)


def test_nothing_is_booked_when_nothing_waits(store: Store) -> None:
    assert take(store, "tag") is None
    assert 0 == store.exists(keys.BOOKED, keys.BOOKED_BY_TIME)


def test_the_queues_are_asked_in_the_order_they_are_named(store: Store) -> None:
    store.lpush("hmt_pass.bulk", "bulk")
    store.lpush("hmt_pass", "interactive")
    assert [["hmt_pass", "interactive"], ["hmt_pass.bulk", "bulk"], None] == [take(store, tag) for tag in "abc"]


def test_an_acknowledged_message_is_gone(store: Store, bookings: Bookings) -> None:
    store.lpush("hmt_pass", "one")
    take(store, "tag")
    bookings.taken("tag")

    bookings.acknowledge("tag")

    assert 0 == store.exists("hmt_pass", keys.BOOKED, keys.BOOKED_BY_TIME)


def test_a_message_that_is_given_back_is_the_next_to_be_taken_as_it_was(store: Store, bookings: Bookings) -> None:
    store.lpush("hmt_pass", 'odd\nentry with "lines"', "behind it")
    take(store, "tag")

    bookings.give_back("tag")
    bookings.give_back("tag")

    assert ["behind it", 'odd\nentry with "lines"'] == queue(store)
    assert 0 == store.exists(keys.BOOKED, keys.BOOKED_BY_TIME)


def test_the_messages_of_a_dead_worker_come_back_in_their_order(store: Store, bookings: Bookings) -> None:
    store.lpush("hmt_pass", "one", "two", "three", "later")
    for tag in ("a", "b", "c"):
        take(store, tag)
    for tag, seconds in (("a", 63), ("b", 62), ("c", 61)):
        age(store, tag, seconds)

    assert 3 == bookings.restore_lapsed()

    assert ["later", "three", "two", "one"] == queue(store)
    assert 0 == store.exists(keys.BOOKED, keys.BOOKED_BY_TIME)


def test_a_message_whose_worker_lives_is_left_alone(store: Store, bookings: Bookings) -> None:
    store.lpush("hmt_pass", "one")
    take(store, "tag")
    bookings.taken("tag")
    age(store, "tag", LEASE_S + 1)

    bookings.renew()

    assert 0 == bookings.restore_lapsed()
    assert 1 == store.hlen(keys.BOOKED)


def test_an_overdue_message_is_renewed_no_more(store: Store, bookings: Bookings, clock: Clock) -> None:
    store.lpush("hmt_pass", "one")
    take(store, "tag")
    bookings.taken("tag")
    age(store, "tag", LEASE_S + 1)
    clock.now_s += DEADLINE_S

    bookings.renew()

    assert 1 == bookings.restore_lapsed()
    assert ["one"] == queue(store)


def test_what_was_restored_is_not_booked_again_by_a_late_renewal(store: Store, bookings: Bookings) -> None:
    store.lpush("hmt_pass", "one")
    take(store, "tag")
    bookings.taken("tag")
    age(store, "tag", LEASE_S + 1)
    bookings.restore_lapsed()

    bookings.renew()
    bookings.acknowledge("tag")

    assert ["one"] == queue(store)
    assert 0 == store.exists(keys.BOOKED, keys.BOOKED_BY_TIME)


def test_a_round_restores_as_many_as_it_is_told(store: Store, bookings: Bookings) -> None:
    store.lpush("hmt_pass", *map(str, range(5)))
    for tag in "abcde":
        take(store, tag)
        age(store, tag, LEASE_S + 1)
    assert [2, 2, 1, 0] == [bookings.restore_lapsed(2) for _ in range(4)]


def let_redis_stand_still(store: Store, seconds: float) -> None:
    """As if no renewal of any worker had come for so long."""
    store.hset(keys.BOOKED_STEADY, "beat", float(store.hget(keys.BOOKED_STEADY, "beat") or 0) - seconds)


def test_what_was_asked_of_a_redis_before_it_stood_still_restores_nothing_when_it_goes_on(
    store: Store, bookings: Bookings
) -> None:
    leave_a_lapsed_booking(store)
    let_redis_stand_still(store, LEASE_S / 2 + 1)
    assert 0 == bookings.restore_lapsed()


def test_nothing_is_restored_until_the_living_have_renewed_for_half_a_lease(store: Store, bookings: Bookings) -> None:
    leave_a_lapsed_booking(store)
    let_redis_stand_still(store, LEASE_S / 2 + 1)
    Bookings(store, LEASE_S, DEADLINE_S).renew()  # any worker's, one without a message too
    assert 0 == bookings.restore_lapsed()
    since = float(store.hget(keys.BOOKED_STEADY, "since") or 0)
    store.hset(keys.BOOKED_STEADY, "since", since - LEASE_S / 2 - 1)
    assert 1 == bookings.restore_lapsed()


def test_beats_from_before_redis_clock_was_set_back_are_as_good_as_none(store: Store, bookings: Bookings) -> None:
    leave_a_lapsed_booking(store)
    now_s = store.time()[0]
    store.hset(keys.BOOKED_STEADY, "beat", now_s + 3600)
    assert 0 == bookings.restore_lapsed()

    store.hset(keys.BOOKED_STEADY, "since", now_s + 3600)
    bookings.renew()

    assert pytest.approx(now_s, abs=5) == float(store.hget(keys.BOOKED_STEADY, "since") or 0)
    store.hset(keys.BOOKED_STEADY, "since", now_s - LEASE_S)
    assert 1 == bookings.restore_lapsed()


def test_a_fleet_that_begins_restores_nothing_at_once(store: Store) -> None:
    leave_a_lapsed_booking(store)
    first = Bookings(store, LEASE_S, DEADLINE_S)
    assert 0 == first.restore_lapsed()
    first.renew()
    assert 0 == first.restore_lapsed()


def leave_a_lapsed_booking(store: Store) -> None:
    store.lpush("hmt_pass", "one")
    take(store, "tag")
    age(store, "tag", LEASE_S + 1)


@pytest.mark.parametrize(("end", "left"), [("acknowledge", []), ("give_back", ["one"])])
def test_what_redis_does_not_hear_is_said_again(
    store: Store, bookings: Bookings, monkeypatch: pytest.MonkeyPatch, end: str, left: list[str]
) -> None:
    store.lpush("hmt_pass", "one")
    take(store, "tag")
    bookings.taken("tag")
    with monkeypatch.context() as outage:
        outage.setattr(type(store), "execute_command", _no_answer)
        getattr(bookings, end)("tag")
    assert 1 == store.hlen(keys.BOOKED)

    bookings.renew()

    assert left == queue(store)
    assert 0 == store.exists(keys.BOOKED, keys.BOOKED_BY_TIME)


def test_a_process_that_ends_gives_back_what_it_never_began(store: Store, bookings: Bookings) -> None:
    store.lpush("hmt_pass", "one", "two")
    for tag in ("a", "b"):
        take(store, tag)
        bookings.taken(tag)
    bookings.acknowledge("a")

    bookings.give_back_all()

    assert ["two"] == queue(store)


def test_a_redis_that_does_not_answer_is_an_error_of_ours(
    bookings: Bookings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings.taken("tag")
    monkeypatch.setattr(type(store), "execute_command", _no_answer)
    for duty in (bookings.renew, bookings.restore_lapsed):
        with pytest.raises(StoreError):
            duty()


def _no_answer(*_: object, **__: object) -> object:
    raise StoreError("Redis: no answer")
