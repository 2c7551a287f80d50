import logging
import os

import pytest
from fakes import API_SECRET, fake_settings
from pydantic import SecretStr

from hmt_pass.errors import SettingsError
from hmt_pass.job import RECOGNIZE
from worker import services
from worker.celery import app, check_settings, configure_logging
from worker.lanes import LaneCycle
from worker.rabbitmq.dead_letters import RabbitDeadLetters
from worker.rabbitmq.delays import RabbitDelays
from worker.rabbitmq.queues import RabbitQueues


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_built", {})
    for name, value in {
        "HMT_PASS_API_ID": "an-id",
        "HMT_PASS_API_SECRET": API_SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def test_services_are_built_once_a_process_and_open_no_connection() -> None:
    assert services.services() is services.services()


def test_a_forked_child_builds_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = services.services()
    monkeypatch.setattr(os, "getpid", lambda: 4711)
    childs = services.services()
    assert parents is not childs
    assert childs.worker.endswith(":4711")


def test_the_settings_reach_those_they_are_for() -> None:
    built = services.build(fake_settings(max_attempts=3, retry_cap_s=7.0, api_id="me"))
    assert (3, 7.0) == (built.retry.max_attempts, built.retry.cap_s)
    assert "Client(api_id='me', api_secret='***'" in repr(built.client)


def test_an_amqp_url_makes_a_worker_on_rabbitmq_with_its_states_in_redis() -> None:
    built = services.build(fake_settings(broker_url=SecretStr("amqp://me:hush@rabbit//")))
    assert (RabbitQueues, RabbitDelays, RabbitDeadLetters, None) == (
        type(built.queues),
        type(built.delayed),
        type(built.dead_letters),
        built.bookings,
    )
    with pytest.raises(SettingsError, match="this transport is for Redis"):
        assert built.booked


def test_a_worker_with_a_wrong_environment_says_so_and_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    check_settings()
    services._built.clear()  # noqa: SLF001  another process
    monkeypatch.delenv("HMT_PASS_API_ID")
    with pytest.raises(SystemExit, match="HMT_PASS_API_ID: Field required"):
        check_settings()


@pytest.mark.usefixtures("root_logger")
def test_logs_are_formatted_as_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HMT_PASS_LOG_FORMAT", "console")
    configure_logging(loglevel=logging.WARNING)
    logging.getLogger("celery").warning("Connected")
    logging.getLogger("celery").info("mingle")
    err = capfd.readouterr().err
    assert ("Connected" in err, "mingle" in err, err.startswith("{")) == (True, False, False)


def test_the_worker_keeps_what_it_takes_until_it_is_done() -> None:
    conf = app.conf
    assert (True, True, True, True) == (
        conf.task_acks_late,
        conf.task_reject_on_worker_lost,
        conf.task_acks_on_failure,
        conf.task_ignore_result,
    )
    assert conf.result_backend is None
    assert ["json"] == conf.accept_content
    assert ["hmt_pass", "hmt_pass.bulk"] == [queue.name for queue in conf.task_queues]
    assert LaneCycle is conf.broker_transport_options["queue_order_strategy"]


def test_the_worker_knows_the_task_by_the_name_of_the_message_contract() -> None:
    app.loader.import_default_modules()
    assert RECOGNIZE in app.tasks
