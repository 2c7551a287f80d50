from collections.abc import Collection
from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery.app.amqp import Queues
from celery.concurrency.prefork import TaskPool as ProcessPool

from hmt_pass.job import Lane
from hmt_pass.queues import work_queues
from worker.duties import Duties
from worker.pool import ThreadPool

QUEUES = [lane.queue for lane in Lane]


def celery_worker(only: Collection[str] = (), without: Collection[str] = ()) -> Any:  # noqa: ANN401  celery's worker
    """celery's worker as far as Duties sees it, started with these -Q and -X."""
    queues = Queues(work_queues("redis://"), create_missing=False)
    queues.select(only)
    queues.deselect(without)
    app = SimpleNamespace(amqp=SimpleNamespace(queues=queues))
    return SimpleNamespace(app=app, autoscale=None, pool_cls=ThreadPool, time_limit=None, soft_time_limit=None)


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> list[Lane]:
    """What the heartbeat was told that it takes messages from."""
    told: list[Lane] = []
    idle = SimpleNamespace(start=lambda: None)
    monkeypatch.setattr("worker.duties.services", lambda: None)
    monkeypatch.setattr("worker.duties.Heartbeat", lambda _, lanes: told.extend(lanes) or idle)
    monkeypatch.setattr("worker.duties.stacks", SimpleNamespace(answer_sigusr1=lambda: None))
    monkeypatch.setattr("worker.duties.Housekeeping", lambda _: idle)
    monkeypatch.setattr("worker.duties.process", SimpleNamespace(serve=lambda *_: None))
    return told


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, list(Lane)),
        ({"only": QUEUES[:1]}, [Lane.INTERACTIVE]),
        ({"only": QUEUES[1:]}, [Lane.BULK]),
        ({"without": QUEUES[:1]}, [Lane.BULK]),
        ({"without": QUEUES}, []),
    ],
)
def test_the_heartbeat_knows_the_lanes_that_the_worker_was_started_for(
    lanes: list[Lane], options: dict[str, list[str]], expected: list[Lane]
) -> None:
    worker = celery_worker(**options)
    Duties(cast("Any", worker)).start(worker)
    assert expected == lanes


def test_a_worker_of_threads_refuses_to_be_scaled_and_one_of_processes_does_not() -> None:
    worker = celery_worker()
    worker.autoscale = [8, 2]
    with pytest.raises(SystemExit, match="HMT_PASS_CONCURRENCY; or add `-P processes`"):
        Duties(worker)
    worker.pool_cls = ProcessPool
    Duties(worker)


@pytest.mark.parametrize("name", ["time_limit", "soft_time_limit"])
def test_a_time_limit_that_would_cut_a_call_short_is_refused(name: str) -> None:
    worker = celery_worker()
    setattr(worker, name, 60)
    with pytest.raises(SystemExit, match="set HMT_PASS_TOTAL_TIMEOUT_S"):
        Duties(worker)
