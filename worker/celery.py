"""The Celery app, found by `celery -A worker`. What users set is in worker.settings; the rest has its reason here."""

import os
from typing import Any

from celery import Celery
from celery.signals import celeryd_init, setup_logging, task_postrun, task_prerun

from hmt_pass.errors import SettingsError
from hmt_pass.job import Lane
from hmt_pass.producer import PUBLISH_RETRY, SOCKET_LIMITS
from hmt_pass.queues import is_rabbit, work_queues
from worker import observe, process, tracebacks, tracing
from worker.consuming import ConsumingWatch
from worker.duties import Duties
from worker.hold_watch import HoldWatch
from worker.inspection import queues_of_flower
from worker.lanes import LaneCycle
from worker.rabbitmq.options import broker_options
from worker.services import services
from worker.settings import BrokerSettings

# Celery prefers each to what an app says, and `-b` sets the first.
OVERRIDES = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")

app = Celery("hmt_pass", loader="app", include=["tasks.recognize"])
app.backend_cls = "disabled"  # one that is down makes a threads worker deaf; CELERY_RESULT_BACKEND cannot change it
app.steps["worker"].add(Duties)
app.steps["consumer"].update({HoldWatch, ConsumingWatch})


@app.on_configure.connect
def configure(sender: Celery, **_: Any) -> None:  # noqa: ANN401  signal arguments
    """Configure when it is first needed, so that importing this module asks nothing of the environment."""
    environment = _environment()
    sender.conf.update(
        broker_url=environment.broker,
        worker_consumer="worker.consumer:Consumer",
        # --- what a kill must not lose
        task_acks_late=True,  # acknowledge a job when it is done, not when it is taken
        task_reject_on_worker_lost=True,  # prefork: a child killed in a job gives the message back
        task_acks_on_failure=True,  # a failed task has its dead letter already
        broker_channel_error_retry=True,  # a Redis that is out of memory must not end the worker
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # the default gives up after 100
        task_ignore_result=True,
        # --- JSON only: a pickle in the queue would run as code
        task_serializer="json",
        accept_content=["json"],
        event_serializer="json",
        task_remote_tracebacks=False,
        # --- queues
        task_queues=[*work_queues(environment.broker), *queues_of_flower()],
        task_default_queue=Lane.INTERACTIVE.queue,
        task_create_missing_queues=False,  # a misspelt queue is an error, not a hole
        # --- pool: a job waits for the network; docs/decisions.md has what processes cost
        worker_pool="worker.pool:ThreadPool",
        worker_concurrency=environment.concurrency,
        worker_prefetch_multiplier=1,  # what is prefetched waits behind a slow call while other workers idle
        worker_disable_rate_limits=True,  # celery's limit is per worker and holds messages in memory
        worker_cancel_long_running_tasks_on_connection_loss=False,  # threads cannot be cancelled; the claim keeps a
        # redelivered job from running twice
        worker_enable_prefetch_count_reduction=False,
        # --- what operators see
        worker_send_task_events=True,
        task_track_started=True,
        worker_hijack_root_logger=False,  # worker.observe formats every line
        worker_proc_alive_timeout=30.0,
        # --- broker
        broker_pool_limit=10,
        broker_connection_timeout=5,
        task_publish_retry_policy=PUBLISH_RETRY,
        broker_transport_options={
            **SOCKET_LIMITS,
            "health_check_interval": 10,
            "queue_order_strategy": LaneCycle,
            "priority_steps": [0],  # lanes are queues; priorities would make four lists of each
        },
    )
    if is_rabbit(environment.broker):
        sender.conf.update(broker_options(environment.broker))


def _environment() -> BrokerSettings:
    """What reaches the broker. Ends the process where Celery would go on with its default, or with another broker."""
    try:
        environment = BrokerSettings.load()
    except SettingsError as error:
        raise SystemExit(f"worker: {error}") from None
    others = [name for name in OVERRIDES if os.environ.get(name, environment.broker) not in {"", environment.broker}]
    if others:
        raise SystemExit(
            f"worker: {', '.join(others)} names another broker than BROKER_URL, and Celery would listen to that one; "
            "`-b` sets CELERY_BROKER_URL. Name the broker in BROKER_URL, and leave the others empty for this process"
        )
    return environment


@celeryd_init.connect
def take_our_transport(conf: Any, **_: Any) -> None:  # noqa: ANN401  signal arguments
    """Let a worker on Redis consume through our transport. Flower, which consumes nothing, must see a redis:// URL."""
    if not is_rabbit(BrokerSettings.load().broker):
        conf.broker_transport = "worker.transport:Transport"


@celeryd_init.connect
def check_settings(**_: Any) -> None:  # noqa: ANN401  signal arguments
    """Let a worker with a wrong environment say so and not start."""
    process.begin()
    try:
        services()
        tracing.start()
    except SettingsError as error:
        raise SystemExit(f"worker: {error}") from None


@setup_logging.connect
def configure_logging(loglevel: int, **_: Any) -> None:  # noqa: ANN401  signal arguments
    """Format celery's own lines as ours."""
    observe.configure(BrokerSettings.load().log_format, loglevel)


@task_prerun.connect
def begin_job(task_id: str, **_: Any) -> None:  # noqa: ANN401  signal arguments
    """Before the task, in the thread that runs it: the job's lines begin, celery's own about its end included."""
    observe.job_begins(task_id)


@task_postrun.connect
def end_job(retval: object, **_: Any) -> None:  # noqa: ANN401  signal arguments
    """After the task, however it ended: `retval` is what it returned or raised, of which celery has told by now."""
    observe.job_ends()
    tracebacks.let_go(retval)
