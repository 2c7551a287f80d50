import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import fakeredis
import pytest
from click.testing import CliRunner, Result
from fakes import World, fake_store, message_of, reply
from watched import figures

from hmt_pass import keys
from worker.__main__ import main
from worker.hold import Kind
from worker.metrics.fleet import Fleet
from worker.queues import RedisQueues

LANES = ("interactive", "bulk")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World.create(monkeypatch)
    monkeypatch.setattr("worker.commands.metrics.services", lambda: world.services)
    monkeypatch.setattr("worker.commands.metrics.observe.configure", lambda _: None)
    return world


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stores that were logged as silent, in no order."""
    found: list[str] = []
    monkeypatch.setattr("worker.metrics.fleet.log.warning", lambda _event, **fields: found.append(fields["store"]))
    return found


def read(world: World, **tally: int) -> dict[str, float]:
    """The fleet's figures after these counts."""
    if tally:
        world.store.hset(keys.TALLY, mapping=dict(tally))
    return figures(Fleet(world.services))


def test_calls_charges_and_jobs_are_those_that_redis_has_counted(world: World) -> None:
    found = read(
        world,
        **{"calls|0000": 7, "calls|unanswered": 2, "charged": 7, "possibly_charged": 3},
        **{"jobs|copied": 4, "attempts|10+": 1, "avoided|copied": 6},
    )
    expected = {
        "hmt_pass_calls_total|0000": 7,
        "hmt_pass_calls_total|unanswered": 2,
        "hmt_pass_calls_charged_total": 7,
        "hmt_pass_calls_possibly_charged_total": 3,
        "hmt_pass_jobs_ended_total|copied": 4,
        "hmt_pass_jobs_by_attempts_total|10+": 1,
        "hmt_pass_calls_avoided_total|copied": 6,
    }
    assert expected == {name: found[name] for name in expected}


@pytest.mark.parametrize(
    "name",
    [
        "hmt_pass_calls_total|9980",
        "hmt_pass_calls_total|worker died",
        "hmt_pass_calls_charged_total",
        "hmt_pass_calls_possibly_charged_total",
        "hmt_pass_jobs_ended_total|dead",
        "hmt_pass_jobs_by_attempts_total|0",
        "hmt_pass_calls_avoided_total|rejected",
        "hmt_pass_call_duration_seconds_count",
        "hmt_pass_calls_in_flight",
        "hmt_pass_hold_active||",
        "hmt_pass_queue_jobs|bulk",
        "hmt_pass_queue_age_seconds|bulk",
        "hmt_pass_open_jobs|bulk",
    ],
)
def test_what_has_never_happened_is_zero_so_that_its_first_time_shows(world: World, name: str) -> None:
    assert 0 == read(world)[name]


def test_a_code_that_the_api_text_does_not_list_is_counted_too(world: World) -> None:
    assert 2 == read(world, **{"calls|1234": 2})["hmt_pass_calls_total|1234"]


def test_buckets_become_cumulative_and_seconds(world: World) -> None:
    found = read(
        world,
        **{"latency_ms|250": 1, "latency_ms|2000": 2, "latency_ms|inf": 4, "latency_ms_sum": 171_500, "charged": 9},
    )
    buckets = {name: value for name, value in found.items() if name.startswith("hmt_pass_call_duration_seconds")}
    assert {
        "hmt_pass_call_duration_seconds_bucket|0.1": 0,
        "hmt_pass_call_duration_seconds_bucket|0.25": 1,
        "hmt_pass_call_duration_seconds_bucket|0.5": 1,
        "hmt_pass_call_duration_seconds_bucket|1.0": 1,
        "hmt_pass_call_duration_seconds_bucket|2.0": 3,
        "hmt_pass_call_duration_seconds_bucket|3.0": 3,
        "hmt_pass_call_duration_seconds_bucket|5.0": 3,
        "hmt_pass_call_duration_seconds_bucket|10.0": 3,
        "hmt_pass_call_duration_seconds_bucket|30.0": 3,
        "hmt_pass_call_duration_seconds_bucket|+Inf": 7,
        "hmt_pass_call_duration_seconds_count": 7,
        "hmt_pass_call_duration_seconds_sum": 171.5,
    } == buckets


def test_calls_under_way_are_counted(world: World) -> None:
    world.store.zadd(keys.IN_FLIGHT, {"one-1": 1.0, "two-1": 2.0})
    assert 2 == read(world)["hmt_pass_calls_in_flight"]


@pytest.mark.parametrize(("kind", "code"), [("code", "9980"), ("hand", None)])
def test_a_hold_shows_with_its_kind_its_code_and_its_beginning(world: World, kind: str, code: str | None) -> None:
    world.services.hold.open("a reason", by="a test", code=code, kind=Kind(kind))
    world.store.hset(keys.HOLD, "since", "2026-11-26T10:00:00.000+00:00")
    found = {name: value for name, value in read(world).items() if name.startswith("hmt_pass_hold")}
    assert {
        f"hmt_pass_hold_active|{kind}|{code or ''}": 1,
        "hmt_pass_hold_started_timestamp_seconds": 1795687200,
    } == found


def test_every_lane_has_its_depth_its_age_and_its_open_jobs(world: World) -> None:
    for lane, ago_s in (("bulk", 100), ("bulk", 50), ("interactive", 5)):
        job = world.job(job_id=f"{lane}-{ago_s}", lane=lane)
        world.services.queues.publish(message_of(job))
        seconds, _ = world.store.time()
        world.store.zadd(keys.open_jobs(lane), {job.job_id: seconds - ago_s})
    found = read(world)
    assert [1, 2] == [found[f"hmt_pass_queue_jobs|{lane}"] for lane in LANES]
    assert [1, 2] == [found[f"hmt_pass_open_jobs|{lane}"] for lane in LANES]
    assert [5, 100] == pytest.approx([found[f"hmt_pass_queue_age_seconds|{lane}"] for lane in LANES], abs=2)


def test_dead_letters_are_grouped_by_code_and_reason(world: World) -> None:
    for number, code in enumerate(("1001", "1001", "9980")):
        world.script(reply(code))
        world.run(world.job(str(number), key=f"{number}.jpg", job_id=str(number)))
    found = {name: value for name, value in read(world).items() if name.startswith("hmt_pass_dead_letters")}
    assert {
        "hmt_pass_dead_letters|1001|a parameter is not UTF-8": 2,
        "hmt_pass_dead_letters|9980|the account has no money left": 1,
    } == found


PRICED = {"price_per_call": Decimal("0.3"), "budget_day": Decimal(3), "budget_month": Decimal(300)}


def test_money_shows_for_the_day_and_the_month(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.create(monkeypatch, **PRICED)
    spend = world.services.spend
    for period, calls in ((spend.today().period, 10), (spend.this_month().period, 100)):
        world.store.hset(keys.spend(period), mapping={"calls": calls, "charged": calls - 3, "possibly_charged": 1})
    found = figures(Fleet(world.services))
    assert {
        "hmt_pass_spend_calls|day": 10,
        "hmt_pass_spend_calls|month": 100,
        "hmt_pass_spend_charged_calls|day": 7,
        "hmt_pass_spend_charged_calls|month": 97,
        "hmt_pass_spend_possibly_charged_calls|day": 1,
        "hmt_pass_spend_possibly_charged_calls|month": 1,
        "hmt_pass_spend_cost|day": 2.4,
        "hmt_pass_spend_cost|month": 29.4,
        "hmt_pass_spend_budget|day": 3,
        "hmt_pass_spend_budget|month": 300,
    } == {name: value for name, value in found.items() if name.startswith("hmt_pass_spend")}


@pytest.mark.parametrize(("settings", "shown"), [({}, set()), ({"price_per_call": Decimal(1)}, {"cost"})])
def test_without_a_price_and_a_budget_there_is_none_to_show(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Decimal], shown: set[str]
) -> None:
    found = figures(Fleet(World.create(monkeypatch, **settings).services))
    assert {f"hmt_pass_spend_{what}|{period}" for what in shown for period in ("day", "month")} == {
        name for name in found if name.startswith(("hmt_pass_spend_cost", "hmt_pass_spend_budget"))
    }


def test_a_silent_redis_is_said_to_be_silent_and_gives_no_old_figures(world: World, warnings: list[str]) -> None:
    fleet = Fleet(world.services)
    assert (1, 1) == (figures(fleet)["hmt_pass_store_up|redis"], figures(fleet)["hmt_pass_store_up|broker"])
    world.server.connected = False
    assert {"hmt_pass_store_up|redis": 0, "hmt_pass_store_up|broker": 0} == figures(fleet)
    assert {"redis", "broker"} == set(warnings)


def test_a_store_that_was_silent_once_is_asked_nothing_more(
    world: World, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("worker.hold.Hold.info", lambda _: asked.append("hold"))
    world.server.connected = False
    read(world)
    assert ([], 2) == (asked, len(warnings))


def test_a_silent_broker_leaves_the_figures_of_redis(world: World, warnings: list[str]) -> None:
    server = fakeredis.FakeServer()
    server.connected = False
    services = replace(world.services, queues=RedisQueues(fake_store(server)), bookings=None)
    found = figures(Fleet(services))
    assert (1, 0) == (found["hmt_pass_store_up|redis"], found["hmt_pass_store_up|broker"])
    assert "hmt_pass_calls_in_flight" in found
    assert "hmt_pass_queue_jobs|bulk" not in found
    assert ["broker"] == warnings


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("metrics", *arguments))


def test_the_command_prints_the_text_format(world: World) -> None:
    world.store.hset(keys.TALLY, "calls|0000", 7)
    outcome = call()
    assert 0 == outcome.exit_code, outcome.output
    assert "# TYPE hmt_pass_calls_total counter" in outcome.stdout
    assert 'hmt_pass_calls_total{code="0000"} 7.0' in outcome.stdout.splitlines()


def test_the_command_speaks_json(world: World) -> None:
    world.store.hset(keys.TALLY, "charged", 7)
    samples: list[dict[str, Any]] = json.loads(call("--json").stdout)
    assert {"name": "hmt_pass_calls_charged_total", "labels": {}, "value": 7} in samples


def test_an_outage_is_a_figure_too(world: World, warnings: list[str]) -> None:
    world.server.connected = False
    outcome = call()
    assert 0 == outcome.exit_code
    assert 'hmt_pass_store_up{store="redis"} 0.0' in outcome.stdout.splitlines()
    assert {"redis", "broker"} == set(warnings)


@pytest.mark.usefixtures("world")
def test_an_address_that_cannot_be_served_on_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(98, "every port is taken")

    monkeypatch.setattr("worker.metrics.server.start", refuse)
    outcome = call("--serve", "9539")
    assert (1, "Error: 127.0.0.1:9539: every port is taken\n") == (outcome.exit_code, outcome.stderr)
