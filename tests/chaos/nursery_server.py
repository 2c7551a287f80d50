"""The nursery's process: `python nursery_server.py SOCKET`. It has imported all that a worker needs, and forks.

A worker takes 2 s to start, nearly all of it for imports; its fork takes 0.3 s. It has one thread, because only then is
a fork safe, and answers one line of JSON with another.
"""

import ctypes
import importlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1  # prctl(2)
PRELOADED = (
    "boto3",
    "celery.__main__",
    "celery.bin.celery",
    "celery.bin.worker",
    "celery.apps.worker",
    "celery.concurrency.thread",
    "celery.worker.worker",
    "celery.worker.consumer",
    "chaos.child",
    "hmt_pass.producer",
    "kombu.transport.redis",
    "PIL.PngImagePlugin",
    "tasks.recognize",
    "worker.celery",
)


class Nursery:
    """Children by process id, until somebody has asked how they ended."""

    def __init__(self) -> None:
        self.ended: dict[int, int] = {}

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        """`spawn` forks a child that calls a function; `status` tells its exit code, negative for a signal."""
        if order["do"] == "spawn":
            return {"pid": self._spawn(order)}
        self._reap()
        return {"code": self.ended.get(order["pid"])}

    def _spawn(self, order: dict[str, Any]) -> int:
        nursery = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                _become(order, nursery)
                code = _call(order["call"], order["options"])
            except BaseException:  # noqa: BLE001  a child must never go on as a second nursery
                sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
                code = 70
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        self.ended.pop(pid, None)  # of an earlier child: ids are given out again after 32,768
        return pid

    def _reap(self) -> None:
        try:
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self.ended[found[0]] = os.waitstatus_to_exitcode(found[1])
        except ChildProcessError:
            return


def _become(order: dict[str, Any], nursery: int) -> None:
    """A process of its own: session, log and environment, gone when the nursery is."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != nursery:
        os._exit(1)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.closerange(3, 256)  # the log's own descriptor and the socket that the tests speak through
    os.environ.clear()
    os.environ.update(order["environment"])


def _call(name: str, options: dict[str, Any]) -> int:
    module, _, function = name.partition(":")
    try:
        getattr(importlib.import_module(module), function)(**options)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def serve(path: str) -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    nursery = Nursery()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        connection, _ = listening.accept()
        with connection, connection.makefile("rw") as stream:
            for line in stream:
                stream.write(json.dumps(nursery.answer(json.loads(line))) + "\n")
                stream.flush()


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]
    serve(sys.argv[1])
