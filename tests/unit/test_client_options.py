import time
from typing import Any

import pytest

from hmt_pass.client import Client
from hmt_pass.connection import Exchange, _Connection


class BrokenSocket:
    """Takes `parts` steps of a request, then the connection is gone."""

    def __init__(self, parts: int) -> None:
        self._parts = parts

    def settimeout(self, _seconds: float) -> None:
        pass

    def send(self, data: memoryview) -> int:
        self._parts -= 1
        if self._parts < 0:
            raise BrokenPipeError
        return len(data) // 2 or 1


@pytest.mark.parametrize(("parts", "is_sent"), [(0, False), (1, True), (3, True)])
def test_a_request_counts_as_sent_from_the_first_byte_that_the_socket_takes(parts: int, is_sent: bool) -> None:
    exchange = Exchange(read_timeout_s=1, total_timeout_s=1)
    connection = _Connection("endpoint.example")
    sock: Any = BrokenSocket(parts)
    connection.sock = sock
    with exchange.current(), pytest.raises(BrokenPipeError):
        connection.send(bytes(100_000))
    assert is_sent is exchange.is_sent


def test_a_read_may_take_no_longer_than_what_is_left_of_the_total() -> None:
    exchange = Exchange(read_timeout_s=15, total_timeout_s=5)
    assert 0 < exchange.read_timeout_s() <= 5


def test_when_the_total_has_passed_no_step_may_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = Exchange(read_timeout_s=15, total_timeout_s=5)
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 6)
    with pytest.raises(TimeoutError):
        exchange.read_timeout_s()


def test_not_a_byte_is_sent_once_it_is_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = time.monotonic()
    exchange = Exchange(read_timeout_s=15, total_timeout_s=60, send_until_s=now_s + 5)
    assert exchange.remaining_s() > 50
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 5)
    with pytest.raises(TimeoutError):
        exchange.remaining_s()
    assert exchange.is_late


def test_what_was_begun_in_time_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = time.monotonic()
    exchange = Exchange(read_timeout_s=15, total_timeout_s=60, send_until_s=now_s + 5)
    exchange.is_sent = True
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 6)
    assert (True, False) == (exchange.remaining_s() > 50, exchange.is_late)


def test_the_secret_is_masked() -> None:
    shown = repr(Client("an-account", "a-secret"))
    assert shown == "Client(api_id='an-account', api_secret='***', url='https://cloudapi.linkface.cn/v2/ocr/hmt_pass')"


@pytest.mark.parametrize(
    "url", ["", "cloudapi.linkface.cn", "ftp://host", "http://", "http://host/?a=b", "http://h/#f"]
)
def test_an_endpoint_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must look like https://host"):
        Client("an-account", "a-secret", url)
