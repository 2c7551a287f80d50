"""What the engine has to reach, and whether it does: the targets that it was ordered with."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.ocr.levels import Level
from bench.ocr.score import Score, Share


@dataclass(frozen=True, slots=True)
class Target:
    """Least shares of right cards and fields, greatest share of wrong ones, CPU seconds a card; all of one level."""

    all_right: float
    key_field: float
    wrong_accepted: float
    cpu_s: float


TARGETS: Mapping[Level, Target] = {
    Level.CLEAN: Target(0.995, 1.0, 0.002, 0.6),
    Level.PHONE: Target(0.99, 0.998, 0.003, 0.7),
    Level.HARD: Target(0.82, 0.99, 0.01, 1.0),
}
KEY_FIELDS = ("cardNum", "birthday", "validDate")

MAX_MEMORY_MB = 600
MAX_READY_S = 1.5
MIN_SPEED_UP = 2.0
"""Cards per CPU second, against RapidOCR."""


@dataclass(frozen=True, slots=True)
class Check:
    """A target beside its figure. The figure itself decides; its interval says how far that can be relied on."""

    what: str
    target: str
    figure: str
    met: bool


def at_least(what: str, share: Share, target: float) -> Check:
    """A share that must not be smaller."""
    return Check(what, f">= {target:.1%}", str(share), share.value >= target)


def at_most(what: str, figure: float, target: float, unit: str) -> Check:
    """A figure that must not be greater."""
    return Check(what, f"<= {target:g} {unit}", f"{figure:.2f} {unit}", figure <= target)


def alone(level: Level, ours: Score) -> list[Check]:
    """The targets of a level that need no other engine."""
    target, wrong = TARGETS[level], ours.wrong_accepted
    return [
        at_least("all seven right", ours.all_right, target.all_right),
        *(at_least(field, ours.right[field], target.key_field) for field in KEY_FIELDS),
        Check("wrong in accepted", f"<= {target.wrong_accepted:.1%}", str(wrong), wrong.value <= target.wrong_accepted),
        at_most("CPU a card", ours.cpu_s, target.cpu_s, "s"),
    ]


def beside(rapid: Score, ours: Score) -> list[Check]:
    """The targets of a level against RapidOCR, both on the same cards. More than all of them cannot be right."""
    least = min(rapid.all_right.hits + 1, rapid.cards)
    ratio = rapid.cpu_s / ours.cpu_s
    return [
        Check("cards right", f">= {least} of {ours.cards}", f"{ours.all_right.hits}", ours.all_right.hits >= least),
        Check("cards a CPU s", f">= {MIN_SPEED_UP} x", f"{ratio:.1f} x", ratio >= MIN_SPEED_UP),
    ]
