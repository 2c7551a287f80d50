"""celery's own transport, pool and consumer instead of the product's, to see what they would lose."""

from typing import Any

from celery.signals import celeryd_init

from worker.celery import app, take_our_transport


def use() -> None:
    """Let the worker of this process run on what celery and kombu bring, without what would put right their losses."""
    for steps in app.steps.values():
        steps.clear()
    celeryd_init.disconnect(take_our_transport)
    app.on_configure.connect(_reset, weak=False)


def _reset(sender: Any, **_: Any) -> None:  # noqa: ANN401  signal arguments
    sender.conf.update(worker_pool="threads", worker_consumer="celery.worker.consumer:Consumer")
