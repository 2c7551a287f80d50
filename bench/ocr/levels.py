"""How hard a card is to read: the ranges that every level draws from."""

from dataclasses import dataclass
from enum import StrEnum

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Ranges:
    """What a level draws from, uniformly. Blur is the sigma of a Gaussian in px; shares are of 1."""

    card_width_px: Range
    max_rotation_deg: float
    max_perspective: float
    """How far a corner moves at most, as a share of the card's width."""
    blur_px: Range
    jpeg_quality: tuple[int, int]
    glare: float
    shadow: float
    quarter_turn: float
    """How often the picture lies on a side or upside down."""
    card_share: Range
    """The card's share of the picture, along the side that it fills most."""
    noise: Range
    """Sigma of the sensor's noise, in grey levels of 255."""


class Level(StrEnum):
    """The three levels of the issue."""

    CLEAN = "clean"
    PHONE = "phone"
    HARD = "hard"

    @property
    def ranges(self) -> Ranges:
        """What this level draws from."""
        return _RANGES[self]


_RANGES = {
    Level.CLEAN: Ranges((900, 1300), 1.5, 0.004, (0, 0.5), (88, 96), 0, 0, 0, (0.8, 0.97), (0, 2)),
    Level.PHONE: Ranges((620, 1250), 10, 0.05, (0.4, 1.25), (68, 92), 0.35, 0.25, 0.08, (0.55, 0.9), (1, 5)),
    Level.HARD: Ranges((430, 820), 24, 0.11, (0.7, 1.7), (38, 72), 0.6, 0.6, 0.5, (0.5, 0.88), (3, 9)),
}
