"""What the worker builds on in celery, kombu and billiard: transport, pool and consumer, and what /healthz goes by.

None of it is public. A new version of either must pass here before it is pinned, and its changes be read beside ours.
"""

import inspect
from collections.abc import Callable
from typing import Any

import billiard.pool
import celery
import kombu
import pytest
import redis
from billiard.common import reset_signals, terminate_handler_fired
from celery.apps import worker as worker_app
from celery.concurrency import base as pool_base
from celery.concurrency.thread import ApplyResult, TaskPool
from celery.worker import WorkController, loops, state
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from celery.worker.state import maybe_shutdown
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual

SIGNATURES: dict[Callable[..., Any], list[str]] = {
    kombu_redis.Channel._brpop_start: ["self", "timeout"],
    kombu_redis.Channel._brpop_read: ["self", "options"],
    kombu_redis.Channel._flush_brpop_reauth: ["self"],
    kombu_redis.Channel.conn_or_acquire: ["self", "client"],
    kombu_redis.QoS.append: ["self", "message", "delivery_tag"],
    kombu_redis.QoS.ack: ["self", "delivery_tag"],
    kombu_redis.QoS.reject: ["self", "delivery_tag", "requeue"],
    kombu_redis.QoS.restore_visible: ["self", "start", "num", "interval"],
    virtual.QoS.append: ["self", "message", "delivery_tag"],
    virtual.QoS.ack: ["self", "delivery_tag"],
    virtual.QoS.restore_unacked_once: ["self", "stderr"],
    virtual.Channel.basic_consume: ["self", "queue", "no_ack", "callback", "consumer_tag", "kwargs"],
    virtual.Channel.message_to_python: ["self", "raw_message"],
    virtual.Transport._deliver: ["self", "message", "queue"],
    TaskPool.on_apply: ["self", "target", "args", "kwargs", "callback", "accept_callback", "_"],
    ApplyResult.__init__: ["self", "future"],
    Consumer.create_task_handler: ["self", "promise"],
    Consumer.on_unknown_message: ["self", "body", "message"],
    Consumer.on_unknown_task: ["self", "body", "message", "exc"],
    Consumer.on_invalid_task: ["self", "body", "message", "exc"],
    Consumer.on_decode_error: ["self", "message", "exc"],
    Consumer.update_strategies: ["self"],
    Request.acknowledge: ["self"],
    Request.reject: ["self", "requeue"],
    Request.revoked: ["self"],
    Request.cancel: ["self", "pool", "signal", "emit_retry"],
    terminate_handler_fired: [],
}


def test_the_versions_are_those_that_ours_was_written_against() -> None:
    assert ("5.7.0", "5.7.0", "8.1.0") == (celery.__version__, kombu.__version__, redis.__version__)


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda function: function.__qualname__)
def test_what_is_overridden_or_called_takes_the_same_arguments(function: Callable[..., Any]) -> None:
    assert SIGNATURES[function] == list(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (kombu_redis.MultiChannelPoller.on_poll_start, "channel.qos.can_consume()"),
        (kombu_redis.MultiChannelPoller._register_BRPOP, "channel._brpop_start()"),
        (kombu_redis.Channel.__init__, "self.handlers = {'BRPOP': self._brpop_read"),
        (kombu_redis.Channel.close, "self._brpop_read()"),
        (kombu_redis.Channel._brpop_read, "self.connection._deliver(loads(bytes_to_str(item)), dest)"),
        (virtual.QoS.restore_unacked_once, "if not self.restore_at_shutdown"),
        (virtual.QoS.can_consume, "len(self._delivered) - len(self._dirty) < pcount"),
        (pool_base.apply_target, "callback(ret)"),
        (Request.execute_using_pool, "callback=self.on_success"),
        (TaskPool.on_stop, "self.executor.shutdown(cancel_futures=True)"),
        (pool_base.BasePool.start, "self.on_start()"),
        (worker_app.Worker.on_start, "self.install_platform_tweaks(self)"),  # SIGQUIT and SIGUSR1, before ours
        (loops.asynloop, "state.maybe_shutdown()"),  # how the pool's own is heard
        (maybe_shutdown, "raise WorkerTerminate(should_terminate)"),
        (WorkController.start, "except WorkerTerminate:\n            self.terminate()"),
        (worker_app.on_cold_shutdown, "worker.consumer.pool.stop()"),
        (Consumer.create_task_handler, "strategy = strategies[type_]"),
        (Consumer.cancel_active_requests, "request.cancel(self.pool, emit_retry=emit_retry)"),
        (Consumer.on_close, "reserved_requests.update(tuple(active_requests))"),  # jobs in hand outlive a connection
        (state.task_ready, "discard_reserved_request(request)"),
        (state.maybe_shutdown, "should_stop is not None and should_stop is not False"),
        (kombu.Consumer.consuming_from, "name in self._active_tags"),
        (billiard.pool.Pool._create_worker_process, "w.index = i"),  # the place of a child's heartbeats
        (billiard.pool.Worker.workloop, "if terminate_handler_fired():"),  # a lost child's job, no result
        (reset_signals, "_should_override_term_signal(sig, signal.getsignal(num))"),  # after our `begin`; SIG_IGN stays
        (Request.on_failure, "self.task.reject_on_worker_lost and is_worker_lost"),  # and its message goes back
    ],
    ids=lambda value: getattr(value, "__qualname__", None),
)
def test_what_calls_us_still_does(function: Callable[..., Any], line: str) -> None:
    assert line in inspect.getsource(function)


def test_a_missing_key_counts_as_a_broken_connection_in_kombu_and_so_must_not_leave_our_handler() -> None:
    assert KeyError in kombu_redis.Transport.connection_errors
