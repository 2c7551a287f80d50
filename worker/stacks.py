"""Where every thread of this process is: file, line and function, never a value. SIGUSR1 asks for it.

Celery's own answer has the value of every local variable, permits included. faulthandler's has none either, but reads
frames that other threads change meanwhile; this one is written while the interpreter stands still.
"""

import os
import signal
import sys
import threading
import traceback
from contextlib import suppress

_STDERR = 2  # written past Python's buffer, which the interrupted thread may be writing to


def of_all_threads() -> dict[str, str]:
    """The stack of each thread, by its name."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {
        names.get(ident, str(ident)): "".join(traceback.format_stack(frame))
        for ident, frame in sys._current_frames().items()  # noqa: SLF001  documented, for debuggers
    }


def answer_sigusr1() -> None:
    """From now on SIGUSR1 has this process write its stacks to stderr. To be called after celery has set its own."""
    signal.signal(signal.SIGUSR1, _write)


def _write(*_: object) -> None:
    text = "".join(f"Thread {name} (most recent call last):\n{stack}\n" for name, stack in of_all_threads().items())
    with suppress(OSError):  # whoever read it is gone; that must not end a job
        os.write(_STDERR, text.encode())
