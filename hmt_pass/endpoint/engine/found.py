"""What was found out about one field."""

from dataclasses import dataclass

from hmt_pass.endpoint.engine.text import Line

PROVED = 0.999
"""Confidence of what is printed and coded alike."""


@dataclass(frozen=True, slots=True)
class Found:
    """A field's value as on the wire, how likely it is right, 0 to 1, and the line that says so.

    The line is None when the value follows from other lines.
    """

    value: str = ""
    confidence: float = 0.0
    line: Line | None = None


NOTHING = Found()
