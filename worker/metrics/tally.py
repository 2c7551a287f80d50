"""The fleet's counters, out of the hash `hmt_pass:books:tally`.

Redis counts there, in the scripts that end a call or a job: so the figures are right in every pool, for any number of
workers, and whatever is killed. Fields are `calls|<code>` and the like; all values are integers that only grow.
"""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from hmt_pass.codes import Code
from hmt_pass.errors import NotConnectedError, UnansweredError, UnreadableReplyError

BUCKETS_MS = (100, 250, 500, 1000, 2000, 3000, 5000, 10_000, 30_000)  # and `inf`: each counts its own calls alone
UNANSWERED = (NotConnectedError.reason, UnansweredError.reason, UnreadableReplyError.reason, "worker died")
CODES = (*(code.value for code in Code), *UNANSWERED)
ENDS = ("recognized", "copied", "rejected", "dead")
ATTEMPTS = (*(str(number) for number in range(10)), "10+")
AVOIDED = ("copied", "rejected")


def families(tally: Mapping[str, str]) -> Iterator[Metric]:
    """The counters as Prometheus wants them. What has never been counted is 0, so that its first increase shows."""
    text = "Calls of the endpoint that have ended, by business code or by why there was none."
    yield _labelled("hmt_pass_calls_total", text, tally, "calls", "code", CODES)
    text = "Calls that were charged."
    yield CounterMetricFamily("hmt_pass_calls_charged_total", text, value=_count(tally, "charged"))
    text = "Ambiguous calls: sent and not seen to be answered, so possibly charged."
    yield CounterMetricFamily("hmt_pass_calls_possibly_charged_total", text, value=_count(tally, "possibly_charged"))
    text = "Calls that were not made, by what made them unnecessary."
    yield _labelled("hmt_pass_calls_avoided_total", text, tally, "avoided", "by", AVOIDED)
    yield _duration(tally)
    text = "Jobs that have come to an end."
    yield _labelled("hmt_pass_jobs_ended_total", text, tally, "jobs", "end", ENDS)
    text = "Jobs that have come to an end, by how many calls each took."
    yield _labelled("hmt_pass_jobs_by_attempts_total", text, tally, "attempts", "attempts", ATTEMPTS)


def _labelled(
    name: str, text: str, tally: Mapping[str, str], prefix: str, label: str, known: Iterable[str]
) -> CounterMetricFamily:
    found = {field.removeprefix(f"{prefix}|"): int(n) for field, n in tally.items() if field.startswith(f"{prefix}|")}
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in sorted((dict.fromkeys(known, 0) | found).items()):
        family.add_metric([value], count)
    return family


def _duration(tally: Mapping[str, str]) -> HistogramMetricFamily:
    """Bucket by bucket in the hash, cumulative and in seconds for Prometheus."""
    buckets: list[tuple[str, float]] = []
    total = 0
    for limit_ms in BUCKETS_MS:
        total += _count(tally, f"latency_ms|{limit_ms}")
        buckets.append((str(limit_ms / 1000), total))
    buckets.append(("+Inf", total + _count(tally, "latency_ms|inf")))
    text = "How long calls took, answered or not."
    sum_s = _count(tally, "latency_ms_sum") / 1000
    return HistogramMetricFamily("hmt_pass_call_duration_seconds", text, buckets=buckets, sum_value=sum_s)


def _count(tally: Mapping[str, str], field: str) -> int:
    return int(tally.get(field, 0))
