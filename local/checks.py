"""Expectations, of demo and rehearsal: each has a name, is printed as met or not, and decides over the exit code."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation and what came of it. `detail` says what was seen."""

    name: str
    ok: bool
    detail: str


@dataclass(slots=True)
class Checks:
    """The expectations so far, in order."""

    console: Console
    made: list[Check] = field(default_factory=list)

    def expect(self, name: str, ok: bool, detail: str) -> None:
        """Record one expectation and print it."""
        self.made.append(Check(name, ok, detail))
        mark = "[green]ok    [/]" if ok else "[red]FAILED[/]"
        self.console.print(f"  {mark} {escape(name)}: {escape(detail)}", highlight=False, soft_wrap=True)

    @property
    def met(self) -> int:
        """How many were met."""
        return sum(check.ok for check in self.made)

    @property
    def ok(self) -> bool:
        """Whether there were expectations and all of them were met."""
        return bool(self.made) and self.met == len(self.made)
