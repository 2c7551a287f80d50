"""What this process asks of the system: enough open files, and to take back memory after a rush."""

import ctypes
import resource


def give_back_memory() -> None:
    """Let glibc return what is free; elsewhere do nothing. Takes some 40 ms.

    Left alone it keeps the blocks of large bodies, and pieces of later calls settle between them. Fixed thresholds
    (M_MMAP_THRESHOLD) would do it too, but the engine's own blocks are as large: it took 15 % more CPU.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def open_files(wanted: int) -> int:
    """How many files the process may open: `wanted`, as far as the system lets it (many give 1024 unless asked)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
