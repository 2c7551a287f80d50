import json
from datetime import UTC, datetime, timedelta

import pytest
from celery.exceptions import InvalidTaskError
from celery.worker import state
from kombu.message import Message

from tasks.recognize import recognize
from worker.celery import app
from worker.task import JobRequest

BODY = [[], {"image": "s3://photos/a.jpg"}, {}]
LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()


def request_of(body: object, **headers: object) -> JobRequest:
    """celery's request for a message, as the consumer makes it."""
    known = {"id": "mine", "task": recognize.name, "lang": "py", **headers}
    message = Message(
        json.dumps(body).encode(),
        content_type="application/json",
        content_encoding="utf-8",
        headers=known,
        properties={},
        delivery_info={"routing_key": "hmt_pass"},
        accept={"application/json"},
    )
    return JobRequest(message, app=app, task=recognize, hostname="a@host", headers=known, decoded=False)


@pytest.mark.parametrize("body", [5, None, {"a": 1}, [], [[0], [1], {}], [{}, {}, {}], ["", {}]])
def test_a_body_that_is_no_list_of_arguments_is_refused_before_celery_takes_it_for_a_success(body: object) -> None:
    with pytest.raises(InvalidTaskError):
        request_of(body)


def test_a_message_is_kept_as_it_came_for_whoever_moves_it() -> None:
    kept = json.loads(request_of(BODY, shadow="x").request_dict["task_message"])
    assert ("mine", "x", "hmt_pass") == (kept["headers"]["id"], kept["headers"]["shadow"], kept["queue"])


def test_what_lets_celery_drop_or_hold_a_job_is_ignored() -> None:
    request = request_of(BODY, expires=LATER, eta=LATER)
    state.revoked.add("mine")
    assert (None, None, False) == (request.expires, request.eta, request.revoked())
    state.revoked.pop_value("mine")


@pytest.mark.parametrize("limits", [[1, 1], 5, "soon", [1, 2, 3]])
def test_a_message_sets_no_limit_of_time_for_its_job(limits: object) -> None:
    assert (None, None) == request_of(BODY, timelimit=limits).time_limits
