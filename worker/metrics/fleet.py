"""The figures of the whole fleet, read from Redis and the broker when they are asked for."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import cast

from prometheus_client.core import CollectorRegistry, GaugeMetricFamily, Metric

from hmt_pass import keys
from hmt_pass.errors import StoreError
from hmt_pass.job import Lane
from worker.metrics import money, tally
from worker.metrics.dead_letters import LetterCounts
from worker.observe import log
from worker.services import Services

_Section = Callable[[], Iterable[Metric]]


class Fleet:
    """A collector of prometheus_client. What does not answer is left out and said to be down: no old figures."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._letters = LetterCounts(services.dead_letters)
        self._lock = threading.Lock()

    def collect(self) -> list[Metric]:
        """All families; one scrape at a time, because the first one reads every dead letter.

        Both stores at once: when they are frozen each takes 5 s to say so, and a scrape has 10 s by default.
        """
        up = GaugeMetricFamily("hmt_pass_store_up", "Whether Redis and the broker answer.", labels=["store"])
        found: list[Metric] = [up]
        sections = self._sections()
        with self._lock, ThreadPoolExecutor(len(sections)) as threads:
            asked = list(threads.map(_ask, sections, sections.values()))
        for store, (families, answers) in zip(sections, asked, strict=True):
            found += families
            up.add_metric([store], int(answers))
        return found

    def _sections(self) -> dict[str, list[_Section]]:
        """Who is asked what; the index of dead letters lies with the queues on Redis, with the states on RabbitMQ."""
        redis: list[_Section] = [self._tally, self._in_flight, self._hold, self._open_jobs, self._money]
        broker: list[_Section] = [self._queues]
        (broker if self._services.bookings else redis).append(self._dead_letters)
        return {"redis": redis, "broker": broker}

    def _tally(self) -> Iterator[Metric]:
        yield from tally.families(cast("dict[str, str]", self._services.store.hgetall(keys.TALLY)))

    def _in_flight(self) -> Iterator[Metric]:
        count = int(self._services.store.zcard(keys.IN_FLIGHT))
        yield GaugeMetricFamily("hmt_pass_calls_in_flight", "Calls that are under way.", value=count)

    def _hold(self) -> Iterator[Metric]:
        info = self._services.hold.info()
        active = GaugeMetricFamily("hmt_pass_hold_active", "1 while the account is on hold.", labels=["kind", "code"])
        active.add_metric([info.kind, info.code or ""] if info else ["", ""], int(info is not None))
        yield active
        since = GaugeMetricFamily("hmt_pass_hold_started_timestamp_seconds", "When the hold began, if there is one.")
        if info:
            since.add_metric([], datetime.fromisoformat(info.since).timestamp())
        yield since

    def _open_jobs(self) -> Iterator[Metric]:
        count = GaugeMetricFamily("hmt_pass_open_jobs", "Jobs without an end.", labels=["lane"])
        age = GaugeMetricFamily(
            "hmt_pass_queue_age_seconds", "For how long the oldest waiting job could have been begun.", labels=["lane"]
        )
        for lane in Lane:
            count.add_metric([lane], int(self._services.store.zcard(keys.open_jobs(lane))))
            age.add_metric([lane], self._services.registry.oldest_waiting_s(lane))
        yield from (count, age)

    def _queues(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("hmt_pass_queue_jobs", "Messages that no worker has taken.", labels=["lane"])
        for lane in Lane:
            depth.add_metric([lane], self._services.queues.waiting(lane.queue))
        yield depth

    def _dead_letters(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("hmt_pass_dead_letters", "Dead letters.", labels=["code", "reason"])
        for group, count in sorted(self._letters.counts_by_reason().items()):
            family.add_metric(group, count)
        yield family

    def _money(self) -> Iterator[Metric]:
        yield from money.families(self._services.spend)


def registry(services: Services) -> CollectorRegistry:
    """The fleet's figures as prometheus_client serves them."""
    found = CollectorRegistry()
    found.register(Fleet(services))
    return found


def _ask(store: str, sections: Iterable[_Section]) -> tuple[list[Metric], bool]:
    """What the sections say, and whether all did: after one that is not answered the others would wait as long."""
    found: list[Metric] = []
    try:
        for section in sections:
            found += section()
    except StoreError as error:
        log.warning("metrics.unanswered", store=store, reason=str(error))
        return found, False
    return found, True
