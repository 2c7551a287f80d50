import io

import pytest
from PIL import Image

from hmt_pass.permit import Flag
from local import cards


@pytest.fixture(scope="module")
def first() -> dict[str, cards.Card]:
    return {card.name: card for card in cards.first()}


def test_there_are_twelve_uploads_and_they_are_all_different(first: dict[str, cards.Card]) -> None:
    assert 12 == len({card.image for card in first.values()})


def test_the_cards_are_the_same_at_every_run() -> None:
    assert cards.later() == cards.later()


def test_an_oversized_photo_is_larger_than_the_api_takes(first: dict[str, cards.Card]) -> None:
    with Image.open(io.BytesIO(first["oversized.jpg"].image)) as photo:
        assert photo.width > 4800


def test_an_iphone_sends_heic(first: dict[str, cards.Card]) -> None:
    assert b"ftypheic" == first["iphone.heic"].image[4:12]


def test_a_scan_is_no_image_whatever_its_name_says(first: dict[str, cards.Card]) -> None:
    scan = first["scan.jpg"]

    assert scan.truth is None
    assert scan.image.startswith(b"%PDF")


def test_taiwan_permits_are_looked_for_with_their_flag(first: dict[str, cards.Card]) -> None:
    for card in first.values():
        taiwan = card.truth is not None and card.truth.card_num.startswith("L")
        assert (Flag.TAIWAN if taiwan else Flag.HK_AND_MACAU) == card.flag
