"""Find what is printed on a permit in texts where it has no business: logs, Flower's answers."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime

from hmt_pass.permit import Permit


def leaks(text: str, permits: Iterable[Permit]) -> list[str]:
    """Names of the fields of `permits` that `text` holds, sorted; empty when it holds none.

    Looked for are number, names, dates and place, in every spelling a program of ours could write them. Not the sex,
    which is one character of everyday text, and not a date that is today's: every log line holds it.
    """
    return sorted({name for permit in permits for name, pattern in _patterns(permit) if re.search(pattern, text)})


def _patterns(permit: Permit) -> Iterable[tuple[str, str]]:
    """Field name and regular expression of each thing to look for."""
    yield from _if_filled("card_num", permit.card_num, f"(?i){re.escape(permit.card_num)}")
    # The card separates the surname with a comma, the wire does not.
    yield from _if_filled("name_eng", permit.name_eng, "[, ]*".join(map(re.escape, permit.name_eng)))
    for name in ("name_chn", "address"):
        text = getattr(permit, name)
        yield from _if_filled(name, text, f"{re.escape(text)}|{re.escape(json.dumps(text)[1:-1])}")
    dates = {"birthday": permit.birth_date, "valid_from": permit.valid_from, "valid_to": permit.valid_to}
    for name, day in dates.items():
        if day and day not in _today():
            # Not inside a longer number or a hexadecimal id, which can hold any eight digits.
            yield name, rf"(?<![0-9a-fA-F]){day:%Y}[-./年]?{day:%m}[-./月]?{day:%d}(?![0-9a-fA-F])"


def _if_filled(name: str, text: str, pattern: str) -> Iterable[tuple[str, str]]:
    return [(name, pattern)] if text else []


def _today() -> set[date]:
    """Today here and in UTC: logs are written in both."""
    now = datetime.now(UTC)
    return {now.date(), now.astimezone().date()}
