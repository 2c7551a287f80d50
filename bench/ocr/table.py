"""The figures as text: tables in Markdown, to be pasted into docs/accuracy.md."""

from collections.abc import Mapping, Sequence

from bench.ocr.engines import OURS, RAPIDOCR
from bench.ocr.levels import Level
from bench.ocr.score import FIELDS, Score
from bench.ocr.targets import MAX_MEMORY_MB, MAX_READY_S, Check, alone, at_most, beside
from bench.ocr.trial import Trial

Trials = Mapping[str, Trial]
"""By engine."""

_HEAD = (
    *("level", "engine", "cards", "all seven right", *FIELDS, "wrong in accepted", "accepted"),
    *("CPU s", "speed of ours", "MB", "ready s"),
)


def comparison(trials: Trials) -> str:
    """A row for each level and engine; in brackets the 95 % interval, in percent.

    `speed of ours` is how many times as many cards our engine reads in a CPU second, both on the same cards.
    """
    scores = {engine: trial.scores() for engine, trial in trials.items()}
    levels = dict.fromkeys(level for by_level in scores.values() for level in by_level)
    rows = [
        _row(level, engine, scores[engine][level], trials)
        for level in levels
        for engine in trials
        if level in scores[engine]
    ]
    return _markdown(_HEAD, rows)


def _row(level: str, engine: str, one: Score, trials: Trials) -> tuple[str, ...]:
    trial = trials[engine]
    same = trials[OURS].scores(trial.names).get(level) if OURS in trials else None
    return (
        level or "-",
        engine,
        str(one.cards),
        str(one.all_right),
        *(f"{one.right[field].value:.1%}" for field in FIELDS),
        str(one.wrong_accepted),
        f"{one.accepted.value:.0%}",
        f"{one.cpu_s:.2f}",
        f"{one.cpu_s / same.cpu_s:.1f}" if same and same.cpu_s else "-",
        f"{trial.memory_mb:.0f}",
        f"{trial.ready_s:.1f}",
    )


def targets(trials: Trials) -> str:
    """Each target beside the figure of our engine, met or not; empty without our engine or levels that have targets."""
    trial = trials.get(OURS)
    levels = [level for level in Level if trial and level in trial.scores()]
    if trial is None or not levels:
        return ""
    rows = [(str(level), check) for level in levels for check in _checks(level, trials)]
    rows += [
        ("all", at_most("peak memory", trial.memory_mb, MAX_MEMORY_MB, "MB")),
        ("all", at_most("ready", trial.ready_s, MAX_READY_S, "s")),
    ]
    return _markdown(
        ("level", "what", "target", "figure", ""),
        [(level, one.what, one.target, one.figure, "met" if one.met else "NOT MET") for level, one in rows],
    )


def _checks(level: Level, trials: Trials) -> list[Check]:
    ours, rapid = trials[OURS], trials.get(RAPIDOCR)
    checks = alone(level, ours.scores()[level])
    if rapid and level in rapid.scores():
        checks += beside(rapid.scores(ours.names)[level], ours.scores(rapid.names)[level])
    return checks


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    return "\n".join(["", lines[0], "|" + "---|" * len(head), *lines[1:], ""])
