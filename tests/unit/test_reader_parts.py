"""The engine's parts that need no model: decoding, geometry, layout, orientation, what is worth reading, portrait."""

import contextlib
import hashlib
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import cv2
import numpy as np
import pytest

from hmt_pass.endpoint.engine import card, geometry, layout, models, portrait, reader
from hmt_pass.endpoint.engine.ctc import Alphabet, alternatives, decode, log_likelihoods, support
from hmt_pass.endpoint.engine.geometry import Floats, Picture
from hmt_pass.endpoint.engine.layout import Anchor, Known
from hmt_pass.endpoint.engine.look import is_worth_reading
from hmt_pass.endpoint.engine.pinyin import is_spellable
from hmt_pass.endpoint.engine.reader import Reader
from hmt_pass.endpoint.engine.text import TextReader, along_the_text, prominence
from hmt_pass.errors import ImageRejectedError, SettingsError

KNOWN = {"O": 1, "0": 2, "1": 3}


def quad(left: float, top: float, width: float, height: float) -> Floats:
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    return np.array(corners, np.float32)


def steps(*rows: tuple[float, ...]) -> Floats:
    return np.array(rows, np.float32)


def test_repeats_are_one_character_unless_a_blank_parts_them() -> None:
    one, blank = (0, 0, 0, 1), (1, 0, 0, 0)
    assert decode(steps(one, one, blank, one), Alphabet(KNOWN, KNOWN)).text == "11"


def test_an_alphabet_leaves_out_what_a_field_cannot_hold() -> None:
    letter_wins = steps((0, 0.6, 0.4, 0))
    assert [decode(letter_wins, Alphabet(KNOWN, allowed)).text for allowed in ("O01", "01")] == ["O", "0"]


def test_confidence_is_the_mean_over_the_characters() -> None:
    read = decode(steps((0, 0, 0.5, 0), (1, 0, 0, 0), (0, 0, 0, 1)), Alphabet(KNOWN, KNOWN))
    assert (read.text, read.confidence, read.weakest) == ("01", 0.75, 0.5)


def test_no_character_has_no_confidence() -> None:
    assert decode(steps((1, 0, 0, 0)), Alphabet(KNOWN, KNOWN)).confidence == 0.0


def test_alternatives_come_best_first_for_each_character() -> None:
    choices = alternatives(steps((0, 0.5, 0.25, 0), (1, 0, 0, 0), (0, 0, 0, 1)), Alphabet(KNOWN, KNOWN), 2)
    assert [[character for character, _ in choice] for choice in choices] == [["O", "0"], ["1", "O"]]


def test_corners_are_put_clockwise_from_the_top_left() -> None:
    expected = quad(10, 10, 50, 20)
    assert geometry.clockwise(expected[[2, 0, 3, 1]]).tolist() == expected.tolist()


def test_silent_characters_are_blanks() -> None:
    comma = steps((0, 0, 0, 1), (0.1, 0.7, 0, 0.2), (0, 0, 0, 1))
    assert decode(comma, Alphabet(KNOWN, "1", silent="O")).text == "11"


def test_the_likelihood_of_a_text_is_the_sum_over_its_alignments() -> None:
    line = steps((0.5, 0, 0, 0.5), (0.25, 0, 0.25, 0.5))
    ways = {"1": 0.5 * 0.5 + 0.5 * 0.25 + 0.5 * 0.5, "10": 0.5 * 0.25, "": 0.5 * 0.25}
    found = log_likelihoods(line, Alphabet(KNOWN, KNOWN), list(ways))
    assert np.exp(found) == pytest.approx(list(ways.values()), abs=1e-6)


def test_a_repeated_character_needs_a_blank_between() -> None:
    one, blank = (0.0, 0, 0, 1.0), (1.0, 0, 0, 0)
    alphabet = Alphabet(KNOWN, KNOWN)
    parted, joined = (
        float(log_likelihoods(line, alphabet, ["11"])[0]) for line in (steps(one, blank, one), steps(one, one))
    )
    assert (parted == pytest.approx(0, abs=1e-5), joined < -10) == (True, True)


def test_support_is_zero_for_what_a_line_seems_to_say_and_less_for_anything_else() -> None:
    line = steps((0, 0.1, 0.8, 0.1))
    supports = [support(line, Alphabet(KNOWN, KNOWN), text) for text in ("0", "O", "")]
    assert supports == pytest.approx([0, np.log(1 / 8), np.log(1e-7 / 0.8)], abs=1e-3)


@pytest.mark.parametrize(
    ("text", "expected"), [("WANGXIAOMING", True), ("LLXUANIING", False), ("", False), ("XIAN", True)]
)
def test_pinyin_is_a_row_of_syllables(text: str, expected: bool) -> None:
    assert is_spellable(text) is expected


def test_boxes_of_a_picture_on_its_side_are_begun_along_the_text() -> None:
    tall, square = quad(0, 0, 20, 200), quad(50, 0, 20, 20)
    along, across = along_the_text([tall, square])
    directions = [box[1] - box[0] for box in along]
    assert (across, [abs(int(x)) for x, _ in directions]) == ([], [0, 0])
    assert directions[0][1] * directions[1][1] > 0


def test_boxes_of_an_upright_picture_stay_as_they_are() -> None:
    boxes = [quad(0, 0, 200, 20), quad(0, 50, 20, 20)]
    assert [box.tolist() for box in along_the_text(boxes)[0]] == [box.tolist() for box in boxes]


def test_lines_across_most_others_are_of_another_paper() -> None:
    along, across = along_the_text([quad(0, 0, 200, 20), quad(0, 40, 200, 20), quad(300, 0, 20, 200)])
    assert (len(along), len(across)) == (2, 1)


@pytest.mark.parametrize("degrees", range(5, 180, 10))
def test_lines_of_one_card_all_begin_at_the_same_side_whatever_its_angle(degrees: int) -> None:
    rows = [quad(0, 40 * row, 200, 20) for row in range(3)]
    tilted = [turn_by(box, degrees + tilt) for box, tilt in zip(rows, (-4, 0, 4), strict=True)]
    along, across = along_the_text([geometry.clockwise(box) for box in tilted])
    directions = np.array([box[1] - box[0] for box in along])
    assert (len(across), bool((directions @ directions[0] > 0).all())) == (0, True)


def turn_by(box: Floats, degrees: float) -> Floats:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(box @ turn.T, np.float32)


def test_large_print_as_long_as_a_title_is_read_before_long_and_short_lines() -> None:
    title, row, key = quad(0, 0, 350, 50), quad(0, 0, 2000, 60), quad(0, 0, 70, 70)
    assert max([row, key, title], key=prominence) is title


def anchors(transform: Floats) -> list[Anchor]:
    ends = [card.TITLE, card.MACHINE_READABLE]
    starts = [card.VALIDITY, card.BIRTHDAY, *card.LABELS.values()]
    return [anchor(transform, box, Known.ENDS) for box in ends] + [
        anchor(transform, box, Known.START) for box in starts
    ]


def anchor(transform: Floats, box: card.Box, known: Known = Known.ENDS, moved: float = 0) -> Anchor:
    return Anchor(box, geometry.project(transform, box.corners) + np.float32(moved), known)


@pytest.mark.parametrize(
    "to_picture",
    [
        np.diag([1.5, 1.5, 1.0]),
        np.array([[0.9, -0.4, 300], [0.4, 0.9, 10], [0, 0, 1]]),
        np.array([[0.9, 0.05, 100], [-0.02, 0.8, 50], [2e-4, 1e-4, 1]]),
    ],
)
def test_a_card_is_found_where_its_lines_say_it_lies(to_picture: Floats) -> None:
    found = layout.locate(anchors(to_picture))
    assert found is not None
    corners = geometry.project(to_picture, [(0, 0), (card.WIDTH, 0), (card.WIDTH, card.HEIGHT), (0, card.HEIGHT)])
    assert layout.corners_in_picture(found) == pytest.approx(corners, abs=3)


def test_one_misplaced_line_does_not_move_the_card() -> None:
    doubled = np.diag([1.5, 1.5, 1.0])
    found = layout.locate([anchor(doubled, card.BIRTHDAY, Known.START, moved=400), *anchors(doubled)])
    assert found is not None
    assert layout.corners_in_picture(found)[2] == pytest.approx([card.WIDTH * 1.5, card.HEIGHT * 1.5], abs=5)


def test_of_two_cards_the_one_with_more_places_is_found_and_of_equals_the_larger() -> None:
    small, large = np.diag([1.0, 1.0, 1.0]), np.array([[1.5, 0, 0], [0, 1.5, 700], [0, 0, 1]])
    places = (anchors(small), anchors(large))
    for found, expected in (
        (layout.locate([*places[0], *places[1]]), large),
        (layout.locate([*places[0], *places[1][:3]]), small),
    ):
        assert found is not None
        assert layout.corners_in_picture(found) == pytest.approx(
            geometry.project(expected, card.OUTLINE.corners), abs=3
        )


def test_the_middle_of_a_number_and_the_start_of_a_pinyin_agree_whatever_their_width() -> None:
    wide = card.Box(card.NUMBER.left - 30, card.NUMBER.top, card.NUMBER.right + 30, card.NUMBER.bottom)
    short = card.Box(card.PINYIN.left, card.PINYIN.top, card.PINYIN.left + 90, card.PINYIN.bottom)
    seen = [Anchor(card.NUMBER, np.array(wide.corners, np.float32), Known.MIDDLE)]
    seen.append(Anchor(card.PINYIN, np.array(short.corners, np.float32), Known.START_ALONE))
    assert layout.agreeing_places(np.eye(3), seen) == 2


def test_two_lines_of_one_row_give_a_card_without_perspective() -> None:
    both = [anchor(np.diag([2.0, 2.0, 1.0]), card.LABELS[label]) for label in ("出生日期", "性别")]
    found = layout.locate(both)
    assert found is not None
    assert not layout.has_perspective(found)


def test_one_line_is_not_enough_to_find_a_card() -> None:
    assert layout.locate(anchors(np.eye(3))[:1]) is None


def test_lines_that_contradict_each_other_find_no_card() -> None:
    everywhere = [Anchor(one.box, quad(0, 0, 0, 0)) for one in anchors(np.eye(3))[:2]]
    assert layout.locate(everywhere) is None


def test_a_perspective_that_no_camera_gives_is_taken_for_none() -> None:
    extreme = np.array([[1, 0, 0], [0, 1, 0], [0.004, 0, 1]])
    found = layout.locate(anchors(extreme))
    assert found is None or not layout.has_perspective(found)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (card.NAME, True),
        (card.PLACE, True),
        (card.Box(302, 396, 610, 432), False),  # the authority alone
        (card.Box(302, 396, 690, 432), True),  # joined to the place
        (card.LABELS["性别"], False),
        (card.Box(80, 200, 250, 230), False),  # on the portrait
        (card.Box(900, 54, 1100, 98), False),  # beside the card
    ],
)
def test_only_lines_that_can_hold_a_field_are_worth_reading(box: card.Box, expected: bool) -> None:
    assert is_worth_reading(np.array(box.corners, np.float32), np.eye(3)) is expected


def printed_card(portrait_ink: int, shadow: float) -> Picture:
    """A ground with fine waves, a face and a soft shadow across it."""
    rows, columns = np.mgrid[: card.HEIGHT, : card.WIDTH].astype(np.float32)
    grey = 220 + 6 * np.sign(np.sin(columns / 2 + rows / 5))
    face = ((columns - 160) / 55) ** 2 + ((rows - 260) / 75) ** 2 < 1
    grey[face] -= portrait_ink
    grey *= 1 - shadow * np.exp(-(((columns - 250) / 120) ** 2 + ((rows - 400) / 120) ** 2))
    return np.asarray(np.repeat(grey[:, :, None], 3, axis=2), np.uint8)


@pytest.mark.parametrize("shadow", [0.0, 0.4])
@pytest.mark.parametrize(("ink", "expected"), [(0, False), (60, True)])
def test_a_portrait_is_told_from_a_blank_place_in_any_light(ink: int, shadow: float, expected: bool) -> None:
    assert portrait.is_printed(printed_card(ink, shadow), np.eye(3)) is expected


def test_models_that_are_not_installed_are_a_settings_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="extra `endpoint`"):
        models.folder()


def test_a_missing_model_file_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is missing"):
        Reader.load(tmp_path)


def test_a_changed_model_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / models.DETECTOR).write_bytes(b"another model")
    with pytest.raises(SettingsError, match="not the expected model"):
        models.load(models.DETECTOR, tmp_path)


def test_the_expected_models_are_named_by_their_whole_hash() -> None:
    assert {len(digest) for digest in models.SHA256.values()} == {len(hashlib.sha256().hexdigest())}


def test_pixels_that_cannot_be_decoded_are_no_image() -> None:
    with pytest.raises(ImageRejectedError, match="1015"):
        a_reader().read(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(("large_bytes", "meet"), [(10, False), (1000, True)])
def test_a_large_picture_is_read_while_no_other_is_held(
    monkeypatch: pytest.MonkeyPatch, large_bytes: int, meet: bool
) -> None:
    monkeypatch.setattr(reader, "_LARGE_BYTES", large_bytes)
    one, both, met = a_reader(), threading.Barrier(2), []

    def read_pixels(_: Picture) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(5 if meet else 0.05)
            met.append(True)

    monkeypatch.setattr(one, "read_pixels", read_pixels)
    picture = cv2.imencode(".png", np.zeros((5, 5, 3), np.uint8))[1].tobytes()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one.read, [picture, picture]))
    assert [True, True] * meet == met


def a_reader() -> Reader:
    return Reader(cast(TextReader, SimpleNamespace(recognizer=SimpleNamespace(known={}))))
