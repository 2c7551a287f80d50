"""The jobs as a table on the console and as JSON: the same facts."""

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from hmt_pass.permit import WIRE_NAMES
from local.stage import Sent, Stage

WIDTH = 160  # a narrower window folds whole rows, which reads better than twelve folded columns
COLUMNS = ("job", "image", "state", "code", *WIRE_NAMES.values(), "ms")


def facts(stage: Stage, one: Sent) -> dict[str, Any]:
    """What became of one upload: its status, what was read, what is printed, and its attempts with times in ms."""
    result = stage.producer.result(one.job_id) or {}
    return {
        **stage.producer.status(one.job_id).as_dict(),
        "file": one.card.name,
        "permit": result.get("permit"),
        "truth": one.card.truth.to_wire() if one.card.truth else None,
        "attempts": result.get("attempts", []),
    }


def show(stage: Stage, sent: Iterable[Sent]) -> None:
    """Print one row a job, with code and time of each call; a field that is not what is printed on the card is red."""
    table = Table(*COLUMNS, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for one in sent:
        table.add_row(*row(facts(stage, one)))
    Console(file=stage.console.file, width=WIDTH).print(table)


def row(job: dict[str, Any]) -> list[str]:
    """One job in the order of COLUMNS."""
    permit, truth = job["permit"] or {}, job["truth"] or {}
    fields = [_field(permit.get(name, ""), truth.get(name, "")) for name in WIRE_NAMES.values()]
    calls = ", ".join(codes(job)) or job["code"] or ""
    took_ms = ", ".join(str(attempt["ms"]) for attempt in job["attempts"])
    return [job["job_id"][:8], job["file"], job["state"], calls, *fields, took_ms]


def codes(job: dict[str, Any]) -> list[str]:
    """What each attempt of a job ended in: its business code, or what kept the call from being answered."""
    return [attempt["code"] or attempt["error"] for attempt in job["attempts"]]


def _field(read: str, printed: str) -> str:
    return read if read == printed else f"[red]{read or '?'}[/]"
