"""A room: what is taken is never more than there is, and nobody waits longer than asked."""

import threading

import pytest

from hmt_pass.errors import NoRoomError
from hmt_pass.room import Room
from local.stage import until

PATIENCE_S = 20.0


def test_what_there_is_can_be_taken_and_no_more() -> None:
    room = Room(3)
    with room.take(2, 0.0), room.take(1, 0.0), pytest.raises(NoRoomError):
        room.take(1, 0.01)
    room.take(3, 0.0)


def test_whoever_wants_more_than_there_is_takes_all() -> None:
    room = Room(3)
    with room.take(5, 0.0) as place:
        assert place.units == 3
    room.take(3, 0.0)


def test_a_place_that_shrinks_makes_room_and_one_that_is_closed_twice_makes_no_more() -> None:
    room = Room(3)
    place = room.take(3, 0.0)
    place.shrink(1)
    place.shrink(2)
    assert place.units == 1
    other = room.take(2, 0.0)
    place.close()
    place.close()
    room.take(1, 0.0)
    with pytest.raises(NoRoomError):
        room.take(1, 0.01)
    other.close()


def test_whoever_waits_goes_on_as_soon_as_there_is_room() -> None:
    room = Room(2)
    place = room.take(2, 0.0)
    threading.Timer(0.05, place.close).start()
    assert room.take(2, PATIENCE_S).units == 2


def test_one_who_needs_much_is_not_overtaken_by_those_who_need_little() -> None:
    room, taken = Room(2), list[str]()
    place = room.take(1, 0.0)

    def take(name: str, units: int) -> None:
        with room.take(units, PATIENCE_S):
            taken.append(name)

    threads = [threading.Thread(target=take, args=("much", 2)), threading.Thread(target=take, args=("little", 1))]
    for thread in threads:
        thread.start()
        until(room._turn.locked, PATIENCE_S)  # noqa: SLF001  the first waits
    place.close()
    for thread in threads:
        thread.join()
    assert ["much", "little"] == taken


def test_whoever_waits_behind_one_who_needs_much_gives_up_in_time() -> None:
    room = Room(2)
    place = room.take(1, 0.0)
    much = threading.Thread(target=lambda: room.take(2, PATIENCE_S).close())
    much.start()
    until(room._turn.locked, PATIENCE_S)  # noqa: SLF001  it waits
    with pytest.raises(NoRoomError):
        room.take(1, 0.01)
    place.close()
    much.join()
