"""What ends a process of `-P processes`, and what does not: a signal that the whole worker gets is its parent's.

billiard ends such a process by a SystemExit out of the handler of a signal, in whichever line of a job. systemd and
many a supervisor send SIGTERM to every process of a service; the parent lets running jobs finish then, so must they.

Written against celery 5.7.0 and its billiard; tests/contract/test_celery_contract.py fails when that has changed.
"""

import signal
from functools import cache
from typing import Any

from billiard.common import terminate_handler_fired  # type: ignore[attr-defined]  # the stubs are older
from celery.signals import task_postrun, task_prerun

from worker import stacks

COLD_SIGNAL = signal.SIGHUP  # ends a job in which SIGTERM is ignored; the second one of SIGQUIT would dump the memory


def begin() -> None:
    """From now on jobs run in this process, each shielded from SIGTERM. Between two of them it ends as ever.

    SIGUSR1, at which billiard would end it too, is ignored until the first of them and answered from then on.
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # billiard sets its handlers after this, where none is ignored
    task_prerun.connect(_shield)
    task_postrun.connect(_unshield)


def is_told_to_end() -> bool:
    """Whether a signal ends this process: then the job at hand is interrupted, and what it raises says nothing."""
    return bool(terminate_handler_fired())


def _shield(**_: Any) -> None:  # noqa: ANN401  signal arguments
    _handler()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stacks.answer_sigusr1()


def _unshield(**_: Any) -> None:  # noqa: ANN401  signal arguments
    signal.signal(signal.SIGTERM, _handler())


@cache
def _handler() -> Any:  # noqa: ANN401  signal's own
    """That of billiard, which puts it in place after `begin`; the parent sends it to an idle process to shrink."""
    return signal.getsignal(signal.SIGTERM)
