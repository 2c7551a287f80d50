from types import SimpleNamespace
from typing import Any

import click
import pytest
from celery.worker import control
from flower.utils.broker import Broker
from flower.views import BaseHandler

from hmt_pass.queues import work_queues
from worker import inspection
from worker.celery import app, take_our_transport


@pytest.mark.parametrize("url", ["redis://broker", "amqp://broker//"])
def test_flower_learns_of_the_dead_letter_queue_though_nobody_consumes_it(url: str) -> None:
    state = SimpleNamespace(consumer=SimpleNamespace(task_consumer=SimpleNamespace(queues=work_queues(url))))
    panel: Any = control.Panel  # the stubs leave it out
    told = panel.data["active_queues"](state)
    application = SimpleNamespace(workers={"w@host": {"active_queues": told}})
    view: Any = SimpleNamespace(application=application)
    assert ["hmt_pass", "hmt_pass.bulk", "hmt_pass.dead_letter"] == BaseHandler.get_active_queue_names(view)


@pytest.mark.parametrize(
    ("url", "transport"), [("redis://broker", "worker.transport:Transport"), ("amqp://broker//", None)]
)
def test_only_a_worker_uses_our_transport_so_that_flower_knows_the_broker_by_its_url(
    monkeypatch: pytest.MonkeyPatch, url: str, transport: str | None
) -> None:
    monkeypatch.setenv("BROKER_URL", url)
    with app.connection(url) as connection:
        broker = Broker(connection.as_uri(include_password=True), http_api=None, broker_options={})
    assert broker.host == "broker"
    conf = SimpleNamespace(broker_transport=None)
    take_our_transport(conf=conf)
    assert transport == conf.broker_transport


def test_a_worker_that_does_not_consume_names_no_queue() -> None:
    assert [] == inspection.active_queues(SimpleNamespace(consumer=SimpleNamespace(task_consumer=None)))


@pytest.mark.parametrize(
    ("command", "expected"), [("flower", ["hmt_pass.dead_letter"]), ("worker", []), ("purge", []), (None, [])]
)
def test_only_flower_is_configured_with_the_dead_letter_queue(command: str | None, expected: list[str]) -> None:
    root = click.Context(click.Group("celery"))
    root.invoked_subcommand = command
    with root, click.Context(click.Command(command or "none"), parent=root):
        assert expected == [queue.name for queue in inspection.queues_of_flower()]


def test_what_is_no_command_is_not_configured_with_it_either() -> None:
    assert [] == inspection.queues_of_flower()
