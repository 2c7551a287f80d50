"""Which worker this is: one name for a worker and the processes of its pool, another for every start."""

import os
import secrets
import socket

_NAME = "HMT_PASS_PROCESS"  # in the environment, so that the children of `-P processes` have it too


def begin() -> None:
    """Give this worker its name, before its pool starts."""
    os.environ[_NAME] = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def name() -> str:
    """The name of the worker that this process belongs to; a command line's is its own."""
    return os.environ.get(_NAME) or f"{socket.gethostname()}:{os.getpid()}"
