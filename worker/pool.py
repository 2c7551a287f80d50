"""The thread pool: celery's, without the ways in which it loses a job or a thread's worth of prefetch.

In celery's, what escapes the tracer (a MemoryError, a SystemExit, a failing callback) leaves the message unacknowledged
and the worker one message poorer, until it is deaf; and a cold shutdown waits for every call that is under way.

Written against celery 5.7.0; tests/contract/test_celery_contract.py fails when what it builds on has changed.
"""

import faulthandler
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from types import FrameType
from typing import Any

from celery.concurrency import thread as celery_threads
from celery.concurrency.base import apply_target
from celery.worker import state
from celery.worker.request import Request
from celery.worker.state import task_ready

from hmt_pass.job import Lane
from worker import poison
from worker.envelope import queue_of
from worker.lanes import LaneTurns
from worker.observe import log

_ApplyResult: Any = celery_threads.ApplyResult  # type: ignore[attr-defined]  # the stubs leave out what is built on here
_TaskPool: Any = celery_threads.TaskPool
_state: Any = state
COLD_SHUTDOWN_S = 2.0  # to close connections and write the log
STUCK_SHUTDOWN_S = 4.0  # for the thread that consumes to notice, which looks twice a second
_STDERR, _NOWHERE = 2, os.open(os.devnull, os.O_WRONLY)  # numbers, for a timer that knows no Python


class Running(_ApplyResult):  # type: ignore[misc]  # see above
    """One job of the pool. A thread cannot be stopped; one that has not begun is."""

    def terminate(self, _signal: object) -> None:
        """Asked of every job at a cold shutdown."""
        self.f.cancel()


class ThreadPool(_TaskPool):  # type: ignore[misc]  # see above
    """Threads that wait for the network. The limits on time are those of each call, and of worker.heartbeat."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  celery's
        super().__init__(*args, **options)
        self._turns = LaneTurns()
        self._begins_no_more = False

    def on_start(self) -> None:
        """Have SIGQUIT ask for a cold shutdown and do no more, instead of celery's handler, which carries it out.

        A handler runs in the thread that consumes, between any two of its steps. celery's would wait for ever for a
        lock that this thread was holding just then, py-amqp's for one as it wrote to the broker. Ours leaves the work
        to that thread's next step. Should it not come, a timer that needs no lock ends the process, with every stack on
        stderr.
        """
        signal.signal(signal.SIGQUIT, self._ask_for_the_end)

    def _ask_for_the_end(self, _number: int, _frame: FrameType | None) -> None:
        faulthandler.dump_traceback_later(STUCK_SHUTDOWN_S, exit=True, file=_STDERR)
        os.write(_STDERR, b"worker: cold shutdown\n")
        self._begins_no_more = True
        _state.should_terminate = True

    def on_apply(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        **_: Any,  # noqa: ANN401  time limits, which threads do not have
    ) -> Running:
        """Run one job; whatever comes of it, its message and its place in the pool are given back.

        Raises RuntimeError when no thread can be started for it, and then it will not run.
        """
        request: Request | None = getattr(callback, "__self__", None)
        lane, job = _lane_of(request), partial(_run, request, target, args or (), kwargs, callback, accept_callback)
        self._turns.put(lane, job)
        try:
            return Running(self.executor.submit(self._take_one))
        except RuntimeError:  # though `submit` may have queued it, for a thread that was there already
            if self._turns.take_back(lane, job):
                raise
            return Running(Future())

    def _take_one(self) -> None:
        if not self._begins_no_more:
            self._turns.take_one()

    def terminate_job(self, _pid: int, _signal: object = None) -> None:
        """Nothing: the message of a job whose call is under way comes back when its lease has lapsed."""

    def on_stop(self) -> None:
        """Wait for what runs; after SIGQUIT, which celery tells the pool as a stop too, do not."""
        if _state.should_terminate:
            self.on_terminate()
        else:
            super().on_stop()

    def on_terminate(self) -> None:
        """Let the process end without waiting for the calls that are under way: the interpreter would join them.

        After a second SIGINT celery asks for it in the handler of a signal. Shutting the executor down there would wait
        for its lock, which `submit` may hold.
        """
        self._begins_no_more = True
        faulthandler.dump_traceback_later(COLD_SHUTDOWN_S, exit=True, file=_NOWHERE)


def _lane_of(request: Request | None) -> Lane:
    return Lane.of_queue(queue_of(request.message)) if request else Lane.INTERACTIVE


def _run(
    request: Request | None,
    target: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None,
    callback: Callable[..., Any] | None,
    accept_callback: Callable[..., Any] | None,
) -> None:
    try:
        apply_target(target, args, kwargs, callback, accept_callback)
    except BaseException as error:  # noqa: BLE001  nobody else would notice
        log.exception("job.escaped", job_id=request.id if request else None, error=type(error).__name__)
        if request is not None:
            _hand_back(request, error)


def _hand_back(request: Request, error: BaseException) -> None:
    """Give the message back, or end it when it has escaped too often."""
    try:
        if poison.is_dead_lettered(request.request_dict["task_message"], error):
            request.acknowledge()
        else:
            request.reject(requeue=True)
    finally:
        task_ready(request)
