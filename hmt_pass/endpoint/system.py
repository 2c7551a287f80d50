"""What this process asks of the system: enough open files, and to take back memory that is free."""

import ctypes
import resource

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h of glibc
_THRESHOLD_BYTES = 16 << 20  # at 1 MB every map of a network is paged in anew: 30 % more time (measured)
_POOLS = 2


def keep_memory_small() -> None:
    """Make glibc return large blocks as soon as they are freed, and share its pools; elsewhere do nothing.

    A reading takes blocks of all sizes, in every thread, and left alone each thread's pool keeps them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
        mallopt(_M_ARENA_MAX, _POOLS)


def give_back_memory() -> None:
    """Let glibc return what is free; elsewhere do nothing. Takes some 40 ms.

    Left alone it keeps the blocks of large bodies and pictures, and pieces of later calls settle between them.
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
