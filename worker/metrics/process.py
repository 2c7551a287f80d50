"""The figures of one worker, which answers for itself and, with `-P processes`, for its children."""

from collections.abc import Iterator

from prometheus_client.core import CollectorRegistry, CounterMetricFamily, GaugeMetricFamily, Metric

from hmt_pass import __version__
from worker import beats, pulse
from worker.consuming import Loop, loop
from worker.health import Health, jobs_in_hand
from worker.heartbeat import Heartbeat
from worker.metrics import server
from worker.observe import log
from worker.services import Services


class Process:
    """A collector of prometheus_client. Everything is in memory: it answers while Redis does not."""

    def __init__(self, name: str, health: Health, loop: Loop) -> None:
        self._name = name
        self._health = health
        self._loop = loop

    def collect(self) -> Iterator[Metric]:
        """All families."""
        gauges = {
            "consuming": ("1 while this worker takes messages.", self._loop.consumes),
            "healthy": ("1 while /healthz says 200.", not self._health.problems()),
            "jobs_in_hand": ("Jobs that it has taken and not ended.", jobs_in_hand()),
            "capacity_jobs": ("Jobs that it runs at once.", self._health.capacity),
            "last_message_age_seconds": ("Since it last took a message, or started.", pulse.age_s()),
            "heartbeat_age_seconds": ("Since its last heartbeat, of the latest process.", beats.oldest_age_s()),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"hmt_pass_worker_{name}", text, value=float(value))
        text = "Renewals of leases that Redis did not take."
        yield CounterMetricFamily("hmt_pass_worker_renewals_missed_total", text, value=beats.missed())
        info = GaugeMetricFamily("hmt_pass_worker_info", "Who this is; always 1.", labels=["worker", "version"])
        info.add_metric([self._name, __version__], 1)
        yield info


def serve(services: Services, heartbeat: Heartbeat) -> None:
    """Answer /metrics and /healthz for this worker where HMT_PASS_METRICS_PORTS says; nowhere when that is empty.

    A worker that cannot be watched works all the same.
    """
    host, ports = services.settings.metrics_host, services.settings.metrics_ports
    if not ports:
        return
    health = Health(services, heartbeat, loop)
    health.start()
    registry = CollectorRegistry()
    registry.register(Process(services.worker, health, loop))
    try:
        log.info("metrics.served", host=host, port=server.start(server.app(registry, health.report), host, ports))
    except OSError as error:
        log.error("metrics.not_served", host=host, ports=[ports[0], ports[-1]], reason=error.strerror)
