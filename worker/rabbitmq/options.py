"""What celery is told when the broker is RabbitMQ, beside what worker.celery says for every broker."""

from typing import Any

from hmt_pass.queues import tls, work_queues

# celery's own connection consumes, and publishes events and answers to remote control; these need no confirmation, and
# one for each event would cost more than the job's own traffic. What must not be lost goes through hmt_pass.rabbit.
_SOCKET_LIMITS = {"write_timeout": 5, "client_properties": {"connection_name": "hmt_pass worker"}}


def broker_options(broker_url: str) -> dict[str, Any]:
    """Celery's settings for this RabbitMQ."""
    return {
        "task_queues": work_queues(broker_url),
        "task_default_queue_type": "quorum",
        "task_default_exchange_type": "topic",  # native delays go round a direct exchange
        "worker_detect_quorum_queues": True,
        "worker_prefetch_multiplier": 2,  # from each queue; worker.lanes chooses among what is in hand
        "broker_native_delayed_delivery_queue_type": "quorum",
        "broker_use_ssl": tls(broker_url),
        "broker_heartbeat": 10,  # a broker that vanished is noticed within 20 s
        "broker_transport_options": _SOCKET_LIMITS,
    }
