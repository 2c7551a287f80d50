"""The engine's parts that need no model: decoding, geometry, layout, orientation, the choice between two looks."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

from hmt_pass.endpoint.engine import card, geometry, layout, models
from hmt_pass.endpoint.engine.fields import Fields
from hmt_pass.endpoint.engine.geometry import Floats
from hmt_pass.endpoint.engine.reader import Reader, better_of
from hmt_pass.endpoint.engine.recognition import Alphabet, alternatives, decode
from hmt_pass.endpoint.engine.text import along_the_text
from hmt_pass.errors import ImageRejectedError, SettingsError
from hmt_pass.permit import Permit

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
    assert (read.text, read.confidence) == ("01", 0.75)


def test_no_character_has_no_confidence() -> None:
    assert decode(steps((1, 0, 0, 0)), Alphabet(KNOWN, KNOWN)).confidence == 0.0


def test_alternatives_come_best_first_for_each_character() -> None:
    choices = alternatives(steps((0, 0.5, 0.25, 0), (1, 0, 0, 0), (0, 0, 0, 1)), Alphabet(KNOWN, KNOWN), 2)
    assert [[character for character, _ in choice] for choice in choices] == [["O", "0"], ["1", "O"]]


def test_corners_are_put_clockwise_from_the_top_left() -> None:
    expected = quad(10, 10, 50, 20)
    assert geometry.clockwise(expected[[2, 0, 3, 1]]).tolist() == expected.tolist()


def test_boxes_of_a_picture_on_its_side_are_begun_along_the_text() -> None:
    tall, square = quad(0, 0, 20, 200), quad(50, 0, 20, 20)
    turned = along_the_text([tall, square])
    assert [box[0].tolist() for box in turned] == [[20, 0], [70, 0]]


def test_boxes_of_an_upright_picture_stay_as_they_are() -> None:
    boxes = [quad(0, 0, 200, 20), quad(0, 50, 20, 20)]
    assert [box.tolist() for box in along_the_text(boxes)] == [box.tolist() for box in boxes]


def anchors(transform: Floats) -> list[tuple[card.Box, Floats]]:
    boxes = [card.TITLE, card.VALIDITY, card.BIRTHDAY, card.MACHINE_READABLE, *card.LABELS.values()]
    flat = [quad(box.left, box.top, box.right - box.left, box.bottom - box.top) for box in boxes]
    return [(box, geometry.project(transform, corners)) for box, corners in zip(boxes, flat, strict=True)]


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
    seen = anchors(np.diag([1.5, 1.5, 1.0]))
    seen[2] = (seen[2][0], seen[2][1] + 400)
    found = layout.locate(seen)
    assert found is not None
    assert layout.corners_in_picture(found)[2] == pytest.approx([card.WIDTH * 1.5, card.HEIGHT * 1.5], abs=5)


def test_two_lines_of_one_row_give_a_card_without_perspective() -> None:
    both = [(box, corners) for box, corners in anchors(np.diag([2.0, 2.0, 1.0])) if box.middle == 236]
    found = layout.locate(both)
    assert found is not None
    assert found[2].tolist() == [0, 0, 1]


def test_one_line_is_not_enough_to_find_a_card() -> None:
    assert layout.locate(anchors(np.eye(3))[:1]) is None


def test_lines_that_contradict_each_other_find_no_card() -> None:
    everywhere = [(box, quad(0, 0, 0.01, 0.01)) for box, _ in anchors(np.eye(3))[:2]]
    assert layout.locate(everywhere) is None


def test_a_perspective_that_no_camera_gives_is_taken_for_none() -> None:
    extreme = np.array([[1, 0, 0], [0, 1, 0], [0.004, 0, 1]])
    found = layout.locate([(box, geometry.project(extreme, corners)) for box, corners in anchors(np.eye(3))])
    assert found is not None
    assert found[2].tolist() == [0, 0, 1]


def looked(checks: int, *, agree: bool = False, **values: str) -> Fields:
    return Fields(None, Permit(**values), agree, checks)


def test_the_look_with_more_check_digits_wins_and_the_other_fills_its_gaps() -> None:
    first, second = looked(1, card_num="first", sex="男"), looked(4, card_num="second")
    assert better_of(first, second).permit == Permit(card_num="second", sex="男")


def test_the_names_that_agree_win_as_a_pair() -> None:
    agreeing = looked(0, agree=True, name_chn="陈露", name_eng="CHENLU")
    merged = better_of(agreeing, looked(4, name_chn="", name_eng="CHENLV"))
    assert (merged.permit.name_chn, merged.permit.name_eng, merged.names_agree) == ("陈露", "CHENLU", True)


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
        Reader.__new__(Reader).read(b"\x89PNG\r\n\x1a\n")
