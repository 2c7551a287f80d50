import json
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from prometheus_client.core import CollectorRegistry, GaugeMetricFamily

from worker.metrics import server


class Collector:
    def collect(self) -> list[GaugeMetricFamily]:
        return [GaugeMetricFamily("hmt_pass_something", "Something.", value=7)]


def get(path: str, *, healthy: bool = True) -> tuple[str, str]:
    """Status line and body."""
    registry = CollectorRegistry()
    registry.register(Collector())
    app = server.app(registry, lambda: (healthy, {"problems": [] if healthy else ["it is deaf"]}))
    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    statuses: list[str] = []
    body = b"".join(app(environ, lambda status, *_: statuses.append(status)))
    return statuses[0], body.decode()


def test_metrics_are_served_in_the_text_format() -> None:
    status, body = get("/metrics")
    assert "200 OK" == status
    assert "hmt_pass_something 7.0" in body.splitlines()


@pytest.mark.parametrize(("healthy", "status"), [(True, "200 OK"), (False, "503 Service Unavailable")])
def test_health_is_a_status_and_its_reasons(healthy: bool, status: str) -> None:
    found, body = get("/healthz", healthy=healthy)
    assert (status, {"problems": [] if healthy else ["it is deaf"]}) == (found, json.loads(body))


def test_any_other_path_says_which_there_are() -> None:
    assert ("404 Not Found", {"paths": ["/metrics", "/healthz"]}) == (get("/")[0], json.loads(get("/")[1]))
