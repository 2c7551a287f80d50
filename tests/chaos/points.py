"""Fault points: places inside a worker where a test may have it die, wrapped from outside.

    image       before the photo's pixels are looked at
    leave       after the leave to call is on record, before the call is begun
    call        before the request is sent
    reply       after the reply, before the receipt
    receipt     after the receipt, before the result is put
    put         after the result is put, before the job's end is written
    end         after the job's end, before the message is acknowledged

A fault says `do` (one of ACTS), and when: `share`, at random by the seed, or `jobs`, by their ids.
"""

import os
import random
import resource
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

import hmt_pass.image
from hmt_pass.client import Client
from worker import heartbeat, transport
from worker.calls import Calls
from worker.claims import Claims
from worker.storage import Storage

Fault = Mapping[str, Any]
SEAMS: dict[str, tuple[Any, str, str]] = {
    "image": (hmt_pass.image, "prepare", "before"),
    "leave": (Calls, "begin", "after"),
    "call": (Client, "recognize", "before"),
    "reply": (Calls, "end", "before"),
    "receipt": (Calls, "end", "after"),
    "put": (Storage, "put_json", "after"),
    "end": (Claims, "finish", "after"),
}


def at(job_ids: list[str] | None = None, share: float = 0.0, do: str = "kill") -> dict[str, Any]:
    """A fault as `install` takes it."""
    return {"jobs": job_ids or [], "share": share, "do": do}


def install(faults: Mapping[str, Fault], seed: int, deaths: str) -> None:
    """Wrap the seams that a fault is asked for; each time one bites, a line goes into the file `deaths`."""
    chance = random.Random(seed)
    for point, fault in faults.items():
        owner, name, when = SEAMS[point]
        setattr(owner, name, _wrapped(getattr(owner, name), when, _bite(point, fault, chance, deaths)))


def _wrapped(function: Callable[..., Any], when: str, bite: Callable[[], None]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  passed through
        if when == "before":
            bite()
        answer = function(*args, **kwargs)
        if when == "after":
            bite()
        return answer

    return call


def _bite(point: str, fault: Fault, chance: random.Random, deaths: str) -> Callable[[], None]:
    jobs, share, do = set(fault["jobs"]), fault["share"], fault["do"]

    def bite() -> None:
        job_id = str(structlog.contextvars.get_contextvars().get("job_id"))
        if job_id in jobs or (share and chance.random() < share):
            with open(deaths, "a") as file:  # noqa: PTH123  the fewest steps
                file.write(f"{point} {job_id} {os.getpid()}\n")
            ACTS[do]()

    return bite


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # the signal may reach another thread first


def _freeze() -> None:
    """Stand still, with all threads, until somebody sends SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.1)  # the signal may reach another thread first


def _go_deaf() -> None:
    """Ask the broker for nothing from now on, and notice that soon: celery#8030's worker, which waits for ever."""
    heartbeat.DEAF_AFTER_S = 2.0
    transport.Channel._brpop_start = lambda *_: None  # type: ignore[method-assign]  # noqa: SLF001  kombu asks through it


def _segfault() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), signal.SIGSEGV)
    signal.pause()  # as above


def _allocate() -> None:
    """Ask for 1 GB where there is a quarter of that left, as in a container with a limit of its own."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 2**28, limits[1]))
    try:
        bytearray(2**30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _raise(error: type[BaseException]) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def _recurse() -> None:
    _recurse()


ACTS: dict[str, Callable[[], None]] = {
    "kill": _kill,
    "segfault": _segfault,
    "freeze": _freeze,
    "go deaf": _go_deaf,
    "1 GB": _allocate,
    "MemoryError": _raise(MemoryError),
    "SystemExit": _raise(SystemExit),
    "KeyboardInterrupt": _raise(KeyboardInterrupt),
    "recursion": _recurse,
}
