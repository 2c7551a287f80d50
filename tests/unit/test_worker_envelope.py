import base64
import json

from fakes import message_of
from hypothesis import given
from hypothesis import strategies as st
from kombu import Connection
from kombu.message import Message

from hmt_pass.job import Job
from worker.envelope import TaskMessage

HEADERS = st.dictionaries(st.text(max_size=10), st.none() | st.integers() | st.text(max_size=10), max_size=4)


@given(HEADERS, st.binary(max_size=50), st.text("abc_.", max_size=10))
def test_a_message_survives_its_json(headers: dict[str, object], body: bytes, queue: str) -> None:
    message = TaskMessage(headers, body, "application/json", "utf-8", queue)
    assert message == TaskMessage.from_json(message.to_json())


def test_an_envelope_is_what_kombu_takes_off_a_list() -> None:
    job = Job.create("s3://photos/证件.jpg")
    sent = message_of(job)
    payload = json.loads(sent.envelope("hmt_pass.bulk", {"extra": "值"}))
    with Connection("memory://") as connection:
        received = connection.default_channel.message_to_python(payload)
    assert [[], job.kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}] == received.decode()
    assert ("值", job.job_id) == (received.headers["extra"], received.properties["correlation_id"])
    again = TaskMessage.received(received)
    assert (sent.body, "hmt_pass.bulk", sent.content_type) == (again.body, again.queue, again.content_type)


def test_every_envelope_has_a_delivery_tag_of_its_own() -> None:
    message = message_of(Job.create("s3://photos/a.jpg"))
    tags = {json.loads(message.envelope("hmt_pass"))["properties"]["delivery_tag"] for _ in range(3)}
    assert 3 == len(tags)


def test_a_message_is_kept_as_it_came_whether_its_body_is_text_or_bytes() -> None:
    text = Message(body="[]", headers={"id": "a"}, content_type="application/json", content_encoding="utf-8")
    raw = Message(body=b"[]", headers={"id": "a"}, content_type="application/json", content_encoding="utf-8")
    assert TaskMessage.received(text) == TaskMessage.received(raw)
    assert ("", b"[]") == (TaskMessage.received(text).queue, TaskMessage.received(text).body)


def test_a_message_without_a_body_is_kept_too() -> None:
    assert b"" == TaskMessage.received(Message(body=None, headers={}, delivery_info={"routing_key": "hmt_pass"})).body


def test_the_body_travels_in_base64() -> None:
    message = TaskMessage({}, "证件".encode(), "application/json", "utf-8", "hmt_pass")
    assert "证件".encode() == base64.b64decode(json.loads(message.envelope("hmt_pass"))["body"])


def test_what_rabbitmq_has_written_on_its_way_is_left_out() -> None:
    way = {"x-death": [{"queue": "celery_delayed_0"}], "x-first-death-reason": "expired", "x-delivery-count": 3}
    delay = "0." * 27 + "1."
    message = Message(
        body=b"[]", headers={"id": "a", "x-ours": 1, **way}, delivery_info={"routing_key": f"{delay}hmt_pass.bulk"}
    )
    received = TaskMessage.received(message)
    assert ({"id": "a", "x-ours": 1}, "hmt_pass.bulk") == (received.headers, received.home)
