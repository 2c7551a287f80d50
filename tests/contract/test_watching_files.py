"""The alert rules, the dashboard and the pages about them, held to what is exported and to Prometheus' own tool."""

import json
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
from fakes import World, reply
from prometheus_client import generate_latest
from prometheus_client.core import CollectorRegistry, Metric
from watched import running_loop

from hmt_pass.job import Lane
from worker.health import Health
from worker.heartbeat import Heartbeat
from worker.metrics.fleet import Fleet
from worker.metrics.process import Process

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = (PROMETHEUS / "alerts.yml").read_text()
RULE_TESTS = (PROMETHEUS / "alerts_test.yml").read_text()
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "hmt-pass.json").read_text())
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ALERTS = re.findall(r"^ +- alert: (\w+)$", RULES, re.MULTILINE)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> CollectorRegistry:
    """Everything that can be exported: a hold, a dead letter, a price and a budget included."""
    world = World.create(monkeypatch, price_per_call=Decimal(1), budget_day=Decimal(9), budget_month=Decimal(99))
    world.script(reply("9980"))
    world.run(world.job())
    health = Health(world.services, Heartbeat(world.services, list(Lane)), running_loop())
    registry = CollectorRegistry()
    registry.register(Fleet(world.services))
    registry.register(Process("a-host:1", health, running_loop()))
    return registry


@pytest.fixture
def exported(registry: CollectorRegistry) -> set[str]:
    families = list(registry.collect())
    assert [] == [family.name for family in families if not family.samples]
    return {_name(family) for family in families}


def _name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else str(family.name)


def named_in(*expressions: str) -> set[str]:
    """The metrics that expressions of PromQL name."""
    names = re.findall(r"\bhmt_pass_[a-z_]+", "\n".join(expressions))
    return {re.sub(r"(?<=_seconds)_(bucket|sum|count)$", "", name) for name in names}


def expressions(panels: list[dict[str, list[dict[str, str]]]]) -> list[str]:
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def test_alerts_name_only_metrics_that_are_exported(exported: set[str]) -> None:
    assert set() == named_in(RULES) - exported


def test_the_dashboard_shows_every_metric_and_no_other(exported: set[str]) -> None:
    assert exported == named_in(*expressions(DASHBOARD["panels"]))


def test_every_metric_is_documented_and_no_other(exported: set[str]) -> None:
    assert exported == set(re.findall(r"^\| `(hmt_pass_\w+)` \|", OPERATIONS, re.MULTILINE))


def test_the_dashboard_can_be_provisioned() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert "hmt-pass" == DASHBOARD["uid"]
    assert len(ids) == len(set(ids))
    assert ["datasource"] == [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    sources = [panel["datasource"]["uid"] for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    assert {"${datasource}"} == set(sources)


def test_no_two_panels_lie_on_each_other() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert 23 == max(x for x, _ in cells)


def test_every_alert_leads_to_its_runbook() -> None:
    runbooks = re.findall(r"^### (HmtPass\w+)$", OPERATIONS, re.MULTILINE)
    assert set(ALERTS) == set(runbooks)
    anchors = re.findall(r"^ +runbook: docs/operations\.md#(\w+)$", RULES, re.MULTILINE)
    assert [alert.lower() for alert in ALERTS] == anchors


def test_every_alert_is_tested_to_ring_and_not_to() -> None:
    one_line = re.sub(r"\n +(?=alertname|exp_alerts)", " ", RULE_TESTS)
    for alert in set(ALERTS):
        asked = re.findall(rf"alertname: {alert}\b,? exp_alerts:( \[\])?", one_line)
        assert {"", " []"} == set(asked), alert


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    return found or pytest.skip("no promtool on this machine: apt install prometheus")


def run(*command: str, given: str | None = None) -> None:
    answer = subprocess.run(
        command, cwd=PROMETHEUS, input=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert 0 == answer.returncode, answer.stdout + answer.stderr


def test_the_alerts_ring_when_they_should_and_only_then(promtool: str) -> None:
    run(promtool, "check", "rules", "alerts.yml")
    run(promtool, "test", "rules", "alerts_test.yml")


def test_prometheus_accepts_the_example_configuration(promtool: str) -> None:
    run(promtool, "check", "config", "prometheus.yml")


def test_the_metrics_keep_to_the_conventions_of_prometheus(promtool: str, registry: CollectorRegistry) -> None:
    run(promtool, "check", "metrics", given=generate_latest(registry).decode())
