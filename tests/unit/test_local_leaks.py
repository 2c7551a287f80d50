import json
from datetime import UTC, datetime

import pytest

from hmt_pass.permit import Permit
from local.leaks import leaks

PERMIT = Permit(
    card_num="CA1234567",
    name_chn="欧阳静",
    name_eng="OUYANGJING",
    birthday="19900201",
    sex="女",
    valid_date="20190118-20290117",
    address="山东",
)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("reading card CA1234567 done", "card_num"),
        ("reading card ca1234567 done", "card_num"),
        ("name=欧阳静", "name_chn"),
        (json.dumps({"name": "欧阳静"}), "name_chn"),
        ("OUYANGJING", "name_eng"),
        ("OUYANG,JING", "name_eng"),
        ("born 1990-02-01.", "birthday"),
        ("born 19900201", "birthday"),
        ("出生日期 1990.02.01", "birthday"),
        ("valid 20190118-20290117", "valid_from"),
        ("until 2029-01-17", "valid_to"),
        ("issued in 山东", "address"),
    ],
)
def test_a_field_is_found_in_every_spelling(text: str, field: str) -> None:
    assert field in leaks(text, [PERMIT])


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"job_id": "f7199002019a2b", "ms": 1990020100}',
        "女",
        "Task hmt_pass.recognize[130a52462d6a4ec83382706ef2c36e52] received",
    ],
)
def test_ids_times_and_everyday_characters_are_no_leak(text: str) -> None:
    assert [] == leaks(text, [PERMIT])


def test_every_leaking_field_of_every_permit_is_named_once() -> None:
    text = "CA1234567 CA1234567 L7654321 山东"

    assert ["address", "card_num"] == leaks(text, [PERMIT, Permit(card_num="L7654321", address="山东")])


def test_a_permit_that_ends_today_does_not_make_every_log_line_a_leak() -> None:
    today = datetime.now(UTC).date()
    permit = Permit(valid_date=f"20190118-{today:%Y%m%d}")

    assert [] == leaks(f"{today} INFO ready", [permit])
    assert ["valid_from"] == leaks(f"{today} INFO 2019-01-18", [permit])
