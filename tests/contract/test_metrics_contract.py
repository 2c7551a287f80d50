"""What the metrics rest on: dead letters of every broker by reason, and a server that finds a free port."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from fakes import message_of
from prometheus_client.core import CollectorRegistry
from sides import Side

from hmt_pass.job import Job
from local.process import free_port
from local.redis import RedisServer
from local.services import WebService
from worker.dead_letter_index import DeadLetterIndex
from worker.dead_letters import DeadLetter
from worker.letters import LetterId
from worker.metrics import server
from worker.metrics.dead_letters import Group, LetterCounts
from worker.puts import Put


def put(side: Side, name: str, reason: str, code: str | None = None, at: float = 1.0) -> None:
    letter = DeadLetter(name, reason, "2026-11-22T10:00:00.000+00:00", code=code)
    side.dead_letters.put(letter, message_of(Job.create(f"s3://photos/{name}.jpg", job_id=name)), at)


def test_dead_letters_are_counted_by_code_and_reason_without_particulars(side: Side) -> None:
    put(side, "one", "bug: KeyError in store (results.py:120)")
    put(side, "two", "bug: ValueError in reading (results.py:80)")
    put(side, "three", "exhausted: unanswered")
    put(side, "four", "exhausted: error inside the service", "9999")
    put(side, "five", "parameter api_id: missing", "1002")
    put(side, "six", "a parameter is wrong; see reason", "1002")
    assert {
        Group("", "bug"): 2,
        Group("", "exhausted"): 1,
        Group("9999", "exhausted"): 1,
        Group("1002", "a parameter is wrong; see reason"): 2,
    } == LetterCounts(side.dead_letters).counts_by_reason()


def test_each_dead_letter_is_read_once(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = LetterCounts(side.dead_letters)
    put(side, "one", "poison")
    counts.counts_by_reason()
    read: list[str] = []
    puts = type(side.dead_letters).puts

    def noted(index: DeadLetterIndex, letters: Sequence[LetterId]) -> Sequence[Put | None]:
        read.extend(letter.job_id for letter in letters)
        return puts(index, letters)

    monkeypatch.setattr(type(side.dead_letters), "puts", noted)
    put(side, "two", "poison")
    assert ({Group("", "poison"): 2}, ["two"]) == (counts.counts_by_reason(), read)


def test_a_dead_letter_that_is_gone_or_was_put_anew_does_not_count_as_it_was(side: Side) -> None:
    counts = LetterCounts(side.dead_letters)
    put(side, "one", "poison")
    put(side, "two", "poison")
    put(side, "three", "poison")
    counts.counts_by_reason()

    side.dead_letters.discard("one")
    put(side, "two", "object missing", at=2.0)

    assert {Group("", "poison"): 1, Group("", "object missing"): 1} == counts.counts_by_reason()


def test_the_list_of_dead_letters_is_not_read_again_while_nothing_has_changed(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = LetterCounts(side.dead_letters)
    assert {} == counts.counts_by_reason()
    put(side, "one", "poison")
    counts.counts_by_reason()
    monkeypatch.setattr(type(side.dead_letters), "ids", lambda _: pytest.fail("read"))
    assert {Group("", "poison"): 1} == counts.counts_by_reason()


@contextmanager
def taken(*ports: int) -> Iterator[None]:
    """Somebody else listens there."""
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


def free_range(count: int) -> list[int]:
    """So many ports, one after the other, that were free just now."""
    while True:
        first = free_port()
        ports = list(range(first, first + count))
        try:
            with taken(*ports):
                return ports
        except OSError:
            continue


def serve(*ports: int, healthy: bool = True) -> int:
    return server.start(server.app(CollectorRegistry(), lambda: (healthy, {"problems": []})), "127.0.0.1", ports)


def test_each_process_of_a_host_takes_the_first_free_port() -> None:
    first, second, third = free_range(3)
    with taken(first):
        assert [second, third] == [serve(first, second, third), serve(first, second, third)]
    with urlopen(f"http://127.0.0.1:{third}/healthz", timeout=5) as answer:
        assert (200, {"problems": []}) == (answer.status, json.load(answer))


def test_a_host_whose_ports_are_all_taken_is_told_so() -> None:
    ports = free_range(2)
    with taken(*ports), pytest.raises(OSError, match="every port is taken"):
        serve(*ports)


def test_an_address_of_another_host_is_refused() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        server.start(server.app(CollectorRegistry(), lambda: (True, {})), "192.0.2.1", [free_port()])


def test_a_worker_that_is_not_healthy_is_a_503() -> None:
    port = serve(free_port(), healthy=False)
    with pytest.raises(HTTPError) as caught:
        urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5)
    with caught.value:
        assert 503 == caught.value.code


# Serves, forks a child, and is killed; the child has our standard output no more.
FORKING = """
import os, signal
from prometheus_client.core import CollectorRegistry
from worker.dead_letter_index import DeadLetterIndex
from worker.letters import LetterId
from worker.puts import Put
from worker.metrics import server

port = server.start(server.app(CollectorRegistry(), lambda: (True, {})), "127.0.0.1", range(%d, 65536))
if (child := os.fork()) == 0:
    os.close(1)
    signal.pause()
print(port, child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_forked_child_does_not_keep_the_port_of_a_parent_that_was_killed() -> None:
    command = [sys.executable, "-c", FORKING % free_port()]
    killed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    port, child = map(int, killed.stdout.split())
    try:
        with taken(port):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


class Exporter(WebService):
    health_path = "/healthz"


@pytest.fixture
def exporter(redis: RedisServer, tmp_path: Path) -> Iterator[Exporter]:
    port = free_port()
    environment = {"REDIS_URL": redis.url, "HMT_PASS_API_ID": "id", "HMT_PASS_API_SECRET": "a-secret-of-nobody"}
    command = ["worker", "metrics", "--serve", str(port)]
    with Exporter("exporter", command, tmp_path / "exporter.log", environment, port) as exporter:
        yield exporter


def stores(exporter: Exporter) -> dict[str, str]:
    """What the exporter says of each store."""
    with urlopen(f"{exporter.url}/metrics", timeout=20) as answer:
        return dict(re.findall(r'^hmt_pass_store_up{store="(\w+)"} (\S+)$', answer.read().decode(), re.MULTILINE))


def test_an_exporter_needs_no_worker_and_outlives_redis(exporter: Exporter, redis: RedisServer) -> None:
    assert {"redis": "1.0", "broker": "1.0"} == stores(exporter)
    redis.kill()
    try:
        assert {"redis": "0.0", "broker": "0.0"} == stores(exporter)
        with pytest.raises(HTTPError) as caught:
            urlopen(f"{exporter.url}/healthz", timeout=20)
        with caught.value as refused:
            assert (503, 2) == (refused.code, len(json.load(refused)["problems"]))
    finally:
        redis.start()
    assert {"redis": "1.0", "broker": "1.0"} == stores(exporter)
    assert "metrics.unanswered" in exporter.log.read_text()
