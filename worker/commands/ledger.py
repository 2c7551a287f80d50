"""`ledger [today|month]`: what was called, what it cost, and every call to hold against the vendor's invoice."""

import csv
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import click

from worker.commands.output import printing, show, table, with_json
from worker.ledger import Entry
from worker.services import services
from worker.spend import Spent


@click.command()
@click.argument("period", type=click.Choice(["today", "month"]), default="today")
@click.option(
    "--since", type=click.DateTime(), help="Instead of a period: from this moment on, in the vendor's time zone."
)
@click.option("--csv", "as_csv", is_flag=True, help="Every call, one a line, for a spreadsheet.")
@with_json
def ledger(*, period: str, since: datetime | None, as_csv: bool, as_json: bool) -> None:
    """What the calls of the vendor's day or month came to; with --csv each of them."""
    entries = services().ledger.since(_begin(period, since))
    if as_csv:
        _write_csv(entries)
        return
    sums = _sums(entries)
    if since is None:
        spend = services().spend
        sums |= _of_period(spend.today() if period == "today" else spend.this_month())
    show(sums, as_json=as_json, lines=table(_readable(sums)))


def _begin(period: str, since: datetime | None) -> datetime:
    """The moment from which on calls are wanted, in UTC."""
    offset = timedelta(seconds=services().settings.billing_utc_offset_h * 3600)
    if since is not None:
        return since.replace(tzinfo=UTC) - offset
    begin = services().spend.local_time().replace(hour=0, minute=0, second=0, microsecond=0)
    return (begin if period == "today" else begin.replace(day=1)) - offset


def _sums(entries: list[Entry]) -> dict[str, Any]:
    """The calls by how they ended, and what they cost: the certain and the possible part of it."""
    price = services().settings.price_per_call
    charged = sum(entry.charge == 1 for entry in entries)
    lost = sum(entry.possibly_charged for entry in entries)
    return {
        "calls": len(entries),
        "by_code": dict(Counter(entry.code or entry.error or "" for entry in entries).most_common()),
        "charged": charged,
        "possibly_charged": lost,
        "cost": _money(price, charged),
        "possible_cost": _money(price, lost),
    }


def _of_period(spent: Spent) -> dict[str, Any]:
    """What no call tells: what was spared, and what is left of the budget."""
    return {
        "period": spent.period,
        "spared_copied": spent.copied,
        "spared_rejected": spent.rejected,
        "spared": None if spent.spared is None else str(spent.spared),
        "budget": None if spent.budget is None else str(spent.budget),
        "budget_used_percent": None if spent.share is None else round(float(spent.share) * 100, 1),
    }


def _money(price: Decimal | None, calls: int) -> str | None:
    return None if price is None else str(price * calls)


def _readable(sums: dict[str, Any]) -> dict[str, Any]:
    return {**sums, "by_code": ", ".join(f"{count} x {code}" for code, count in sums["by_code"].items())}


def _write_csv(entries: Iterable[Entry]) -> None:
    with printing():
        writer = csv.DictWriter(sys.stdout, [item.name for item in fields(Entry)])
        writer.writeheader()
        for entry in entries:
            writer.writerow(asdict(entry))
        sys.stdout.flush()
