"""The body of `POST /_faults`, read and checked."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from hmt_pass.codes import Code
from hmt_pass.endpoint.faults import garbage

BEFORE, AFTER = "before", "after"
EFFECTS = ("code", "latency_s", "hang", "drop", "garbage")
"""What can go wrong with a call; the rest of a body limits it."""

MAX_LATENCY_S = 3600
MAX_COUNT = MAX_FOR_S = 10**9
"""Far beyond any rehearsal; without a bound a number could have a thousand digits."""

_EXAMPLE = '{"code": "9980", "count": 1}'


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_code(value: object) -> bool:
    return isinstance(value, str) and value != Code.OK.value and re.fullmatch("[0-9]{4}", value) is not None


_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "code": (_is_code, f"a string of four digits, and not {Code.OK.value}: a success is no fault"),
    "latency_s": (lambda value: _is_number(value) and 0 <= value <= MAX_LATENCY_S, f"seconds, 0 to {MAX_LATENCY_S}"),
    "hang": (lambda value: value in (BEFORE, AFTER), f"{BEFORE} or {AFTER}"),
    "drop": (lambda value: value in (BEFORE, AFTER), f"{BEFORE} or {AFTER}"),
    "garbage": (lambda value: value in list(garbage.Kind), " or ".join(garbage.Kind)),
    "count": (
        lambda value: _is_number(value) and 1 <= value <= MAX_COUNT and value == int(value),
        f"a whole number, 1 to {MAX_COUNT}",
    ),
    "share": (lambda value: _is_number(value) and 0 <= value <= 1, "a number from 0 to 1"),
    "for_s": (lambda value: _is_number(value) and 0 < value <= MAX_FOR_S, f"seconds above 0, at most {MAX_FOR_S}"),
}


@dataclass(frozen=True, slots=True)
class Order:
    """The effects that one body asks for, and which calls they hit: all of them together, or none."""

    effects: Mapping[str, Any]
    count: int | None = None
    """How many calls; None for all."""
    share: float = 1.0
    """Each call's chance, 0 to 1."""
    for_s: float | None = None
    """For how long; None for ever."""

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """The order in a request body. Raises ValueError that says everything that is wrong with it."""
        try:
            wanted = json.loads(body)
        except (ValueError, RecursionError):
            raise ValueError(f"the body must be JSON, such as {_EXAMPLE}") from None
        if not isinstance(wanted, dict):
            raise ValueError(f"the body must be a JSON object, such as {_EXAMPLE}")  # noqa: TRY004  the body's fault
        return cls.from_wire(wanted)

    @classmethod
    def from_wire(cls, wanted: Mapping[str, Any]) -> Self:
        """The order in a JSON object. Raises ValueError with a line a problem."""
        problems = _problems(wanted)
        if problems:
            raise ValueError("\n".join(problems))
        effects = {name: value for name, value in wanted.items() if name in EFFECTS}
        return cls(effects, **{name: value for name, value in wanted.items() if name not in EFFECTS})


def _problems(wanted: Mapping[str, Any]) -> list[str]:
    problems = []
    if not wanted.keys() & set(EFFECTS):
        problems.append(f"give one of {', '.join(EFFECTS)}, such as {_EXAMPLE}")
    if wanted.keys() - _RULES.keys():
        problems.append(f"every key must be one of {', '.join(_RULES)}")
    wrong = (name for name, (is_right, _) in _RULES.items() if name in wanted and not is_right(wanted[name]))
    return problems + [f"{name} must be {_RULES[name][1]}" for name in wrong]
