"""The jobs as a table on the console and as JSON: the same facts."""

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.table import Table

from hmt_pass.permit import WIRE_NAMES
from local.stage import Sent, Stage

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
    stage.console.print(table)


def row(job: dict[str, Any]) -> list[str]:
    """One job in the order of COLUMNS."""
    permit, truth, attempts = job["permit"] or {}, job["truth"] or {}, job["attempts"]
    fields = [_field(permit.get(name, ""), truth.get(name, "")) for name in WIRE_NAMES.values()]
    codes = [attempt["code"] or attempt["error"] for attempt in attempts] or [job["code"] or ""]
    took_ms = [str(attempt["ms"]) for attempt in attempts]
    return [job["job_id"][:8], job["file"], job["state"], ", ".join(codes), *fields, ", ".join(took_ms)]


def _field(read: str, printed: str) -> str:
    return read if read == printed else f"[red]{read or '?'}[/]"
