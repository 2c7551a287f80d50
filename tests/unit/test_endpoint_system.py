"""What the endpoint asks of the system, with a system that answers as it is told."""

import ctypes
import resource

import pytest

from hmt_pass.endpoint import system

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "raised"),
    [
        (1024, 4096, 2000, [(2000, 4096)]),
        (1024, 1500, 1500, [(1500, 1500)]),
        (1024, UNLIMITED, 2000, [(2000, UNLIMITED)]),
        (2000, 4096, 2000, []),
        (UNLIMITED, UNLIMITED, 2000, []),
    ],
)
def test_as_many_files_are_opened_as_are_wanted_and_allowed(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, allowed: int, raised: list[tuple[int, int]]
) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, asked: limits.append(asked))
    assert (system.open_files(2000), limits) == (allowed, raised)


@pytest.mark.parametrize(("trims", "asked"), [(True, [0]), (False, [])])
def test_memory_is_given_back_where_the_system_can(
    monkeypatch: pytest.MonkeyPatch, trims: bool, asked: list[int]
) -> None:
    seen: list[int] = []
    library = type("Library", (), {"malloc_trim": staticmethod(seen.append)} if trims else {})
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    system.give_back_memory()
    assert seen == asked


def test_malloc_is_told_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    library = type("Library", (), {"mallopt": staticmethod(lambda *option: told.append(option))})
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    system.keep_memory_small()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    system.keep_memory_small()
    assert [(-3, 16 << 20), (-8, 2)] == told
