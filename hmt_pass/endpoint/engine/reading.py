"""What the engine hands to the protocol."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.permit import Permit

Corners = tuple[tuple[float, float], ...]
"""The four corners of a line of text, clockwise from the top left of the text: x, y in pixels of the picture as it is
shown (its EXIF orientation applied)."""


class Verdict(StrEnum):
    """Whether a program may take the reading as it is, or a person should look."""

    ACCEPT = "accept"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Reading:
    """A permit that was found in a picture. A field that could not be read is empty: empty beats wrong.

    `confidence` has a number for each of the seven fields of Permit, by its name there: 0 for an empty field, else the
    share of such readings that are right, as far as that can be told, up to 1. `boxes` has the corners of each field's
    line where it is known.
    """

    kind: Kind
    permit: Permit
    verdict: Verdict = Verdict.REVIEW
    confidence: Mapping[str, float] = field(default_factory=dict)
    boxes: Mapping[str, Corners] = field(default_factory=dict)
    has_portrait: bool = True
    """Whether something is printed where the portrait belongs."""
