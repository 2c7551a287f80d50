"""A producer in another language: the entry of docs/protocol.md, filled in and pushed by hand."""

import base64
import json
import re
import uuid
from pathlib import Path

from system import System

from hmt_pass.status import State

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_entry_of_the_protocol_page_is_a_job(system: System) -> None:
    entry = json.loads(re.findall(r"```json\n(.+?)```", PAGE.read_text(), re.DOTALL)[0])
    body = [[], {"image": system.upload("foreign photo.png"), "hmt_flag": 0}, {}]
    entry["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    entry["properties"]["delivery_tag"] = str(uuid.uuid4())
    job_id = entry["headers"]["id"]
    assert State.UNKNOWN is system.producer.status(job_id).state

    system.broker.push(entry)
    system.worker()

    assert [State.RECOGNIZED] == system.wait(job_id)
    assert job_id == system.stored(job_id)["job_id"]


def test_a_message_with_wrong_arguments_is_dead_lettered_not_deleted(system: System) -> None:
    entry = json.loads(re.findall(r"```json\n(.+?)```", PAGE.read_text(), re.DOTALL)[0])
    entry["body"] = base64.b64encode(b'[["s3://b/k"], {"picture": 1}, {}]').decode()
    system.broker.push(entry)
    system.worker()

    system.until(lambda: system.command("dead-letters", "list"))

    (letter,) = system.command("dead-letters", "list")
    assert ("invalid job", entry["headers"]["id"]) == (letter["reason"], letter["job_id"])
    assert [] == system.books.lines
