"""What the calls of this day and this month cost, out of the ledger."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from worker.spend import Spend


def families(spend: Spend) -> Iterator[Metric]:
    """Calls, cost and budget of each period. Raises StoreError."""
    calls = _family("hmt_pass_spend_calls", "Calls in this period.")
    charged = _family("hmt_pass_spend_charged_calls", "Charged calls in this period.")
    possibly = _family("hmt_pass_spend_possibly_charged_calls", "Possibly charged calls in this period.")
    cost = _family("hmt_pass_spend_cost", "What this period has cost, in the currency of the price per call.")
    budget = _family("hmt_pass_spend_budget", "What this period may cost, in the same currency.")
    for period, spent in (("day", spend.today()), ("month", spend.this_month())):
        calls.add_metric([period], spent.calls)
        charged.add_metric([period], spent.charged)
        possibly.add_metric([period], spent.possibly_charged)
        if spent.cost is not None:
            cost.add_metric([period], float(spent.cost))
        if spent.budget is not None:
            budget.add_metric([period], float(spent.budget))
    yield from (calls, charged, possibly, cost, budget)


def _family(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=["period"])
