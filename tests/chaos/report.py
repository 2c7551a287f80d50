"""The table of what was done to the system and what it cost: one row for each fault and broker."""

from dataclasses import dataclass, field
from pathlib import Path

from chaos.auditor import Findings

COLUMNS = (
    "fault",
    "broker",
    "jobs",
    "faults",
    "recognized",
    "rejected",
    "dead",
    "lost",
    "paid twice",
    "paid again, in the window",
    "ambiguous",
    "recovery s",
)


@dataclass
class Report:
    """Rows in the order of the tests, and below them `notes`, a line each."""

    seed: int
    rows: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def put(self, fault: str, broker: str, findings: Findings) -> None:
        """The row of a fault, in place of an earlier one."""
        ends = (findings.ends.get(state, 0) for state in ("recognized", "rejected", "dead"))
        in_window = findings.paid_again - findings.paid_twice
        recovery = "-" if findings.recovery_s is None else f"{findings.recovery_s:.1f}"
        figures = (findings.jobs, findings.faults, *ends, findings.lost, findings.paid_twice, in_window)
        row = (fault, broker, *map(str, figures), str(findings.ambiguous), recovery)
        self.rows[fault, broker] = row

    def markdown(self) -> str:
        """The table."""
        lines = [COLUMNS, tuple("---" if number < 2 else "--:" for number in range(len(COLUMNS))), *self.rows.values()]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def write(self, path: Path) -> None:
        """Write the table and the seed that repeats it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        notes = "".join(f"\n{note}\n" for note in self.notes)
        path.write_text(f"{self.markdown()}{notes}\nRepeat with `--chaos-seed {self.seed}`.\n")
