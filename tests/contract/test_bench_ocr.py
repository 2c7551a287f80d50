"""The independent judge of the OCR engine, and how it counts. Drawn with fonts from a wheel: CI has none of its own."""

import importlib.util
import io
import json
import random
from datetime import date, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from bench.ocr import camera, face, judge, permits, table
from bench.ocr.fonts import FontSet, Split, covers
from bench.ocr.foreign import ForeignLines, Found, along_the_text
from bench.ocr.judge import Album
from bench.ocr.levels import Level
from bench.ocr.names import SEPARATOR, invent_name
from bench.ocr.permits import Printed, invent
from bench.ocr.score import FIELDS, Answer, Share, score
from bench.ocr.targets import TARGETS
from bench.ocr.trial import Corpus, Trial
from hmt_pass.endpoint.engine import dates, machine_readable, pinyin
from hmt_pass.permit import Permit

MANY = 500


@pytest.fixture(scope="module")
def fonts() -> FontSet:
    spec = importlib.util.find_spec("pylopdf_fonts_zh_cn")
    assert spec
    assert spec.submodule_search_locations
    paths = sorted(Path(spec.submodule_search_locations[0]).rglob("*.[ot]t[fc]"))
    return FontSet(han=tuple(paths[:1]), latin=tuple(paths[:1]), codes=paths[0])


@pytest.fixture(scope="module")
def invented() -> list[Printed]:
    rng = random.Random(1)
    return [invent(rng) for _ in range(MANY)]


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (("CS", "C00000000", "240420", "810803"), "CSC000000004<2404200<8108038<6"),
        (("CS", "CA3273201", "290117", "810803"), "CSCA32732010<2901178<8108038<2"),
        (("CD", "L00000000", "250819", "820803"), "CDL000000007<2508197<8208031<6"),
    ],
)
def test_the_check_digits_are_those_of_published_specimens(parts: tuple[str, str, str, str], line: str) -> None:
    assert line == permits.machine_readable(*parts)


def test_two_implementations_agree_on_every_line(invented: list[Printed]) -> None:
    parsed = [machine_readable.parse(one.line) for one in invented]
    assert [one.number for one in invented] == [line.number for line in parsed if line]
    assert {line.strength for line in parsed if line} == {4}


def test_every_truth_has_seven_fields_that_parse(invented: list[Printed]) -> None:
    assert {(one.truth.problems, "" in one.truth.to_wire().values()) for one in invented} == {((), False)}


def test_numbers_look_like_those_of_their_day(invented: list[Printed]) -> None:
    lettered = {(one.number[0], one.issued >= date(2018, 12, 1)) for one in invented if one.number[1].isalpha()}
    plain = {(one.number[0], one.issued >= date(2018, 12, 1)) for one in invented if one.number[1].isdecimal()}
    assert lettered == {("C", True)}
    assert plain == {("C", False), ("L", False), ("L", True)}


def test_terms_are_ten_years_and_five_for_children(invented: list[Printed]) -> None:
    years = {(dates.term_years(one.birth, one.issued), one.expires + timedelta(1)) for one in invented}
    assert all(dates.is_term(one.issued, one.expires) for one in invented)
    assert {5, 10} == {term for term, _ in years}
    assert all(dates.last_of(one.issued, dates.term_years(one.birth, one.issued)) == one.expires for one in invented)


def test_names_have_the_published_mixture_and_the_right_pinyin() -> None:
    rng = random.Random(2)
    names = [invent_name(rng) for _ in range(4 * MANY)]
    assert [one for one in names if not pinyin.spells(one.pinyin.replace(",", ""), one.characters)] == []
    minority = sum(SEPARATOR in one.characters for one in names)
    uncommon = sum(not _is_common(one.characters) for one in names)
    assert 0.02 < minority / len(names) < 0.06
    assert 0.12 < uncommon / len(names) < 0.28


def _is_common(name: str) -> bool:
    """Whether every character is in the first level of GB 2312."""
    try:
        return all(character.encode("gb2312")[0] < 0xD8 for character in name.replace(SEPARATOR, ""))
    except UnicodeEncodeError:
        return False


@pytest.mark.parametrize("level", Level)
def test_a_pose_stays_within_its_level(level: Level) -> None:
    ranges = level.ranges
    poses = [camera.pose(level, random.Random(seed)) for seed in range(200)]
    widths = [
        (np.linalg.norm(one.corners[1] - one.corners[0]) + np.linalg.norm(one.corners[2] - one.corners[3])) / 2
        for one in poses
    ]
    slack = 1 + ranges.max_perspective
    assert ranges.card_width_px[0] / slack <= min(widths)
    assert max(widths) <= ranges.card_width_px[1] * slack
    inside = [
        (one.corners >= 0).all() and (one.corners <= [one.width_px + 1, one.height_px + 1]).all() for one in poses
    ]
    assert all(inside)


@pytest.mark.parametrize("split", Split)
def test_the_same_number_gives_the_same_picture_and_another_one_does_not(split: Split, fonts: FontSet) -> None:
    first, again = (judge.draw(split, Level.PHONE, 1, fonts) for _ in range(2))
    other = judge.draw(split, Level.PHONE, 2, fonts)
    assert first == again
    assert first.picture != other.picture
    assert first.printed != other.printed


def test_the_two_splits_share_no_card_and_no_font(fonts: FontSet) -> None:
    tune, report = (judge.draw(split, Level.CLEAN, 1, fonts) for split in (Split.TUNE, Split.REPORT))
    assert tune.printed != report.printed
    assert not set(judge.SETS[Split.TUNE].all()) & set(judge.SETS[Split.REPORT].all())


@pytest.mark.parametrize("level", Level)
def test_a_picture_is_a_jpeg_of_its_level(level: Level, fonts: FontSet) -> None:
    drawn = judge.draw(Split.TUNE, level, 3, fonts)
    with Image.open(io.BytesIO(drawn.picture)) as picture:
        assert "JPEG" == picture.format
        assert max(picture.size) >= level.ranges.card_width_px[0]


def test_every_card_is_marked_as_a_specimen(fonts: FontSet) -> None:
    rng = random.Random(5)
    card = face.draw(invent(rng), Split.TUNE, fonts, rng)
    red = (card[..., 0].astype(int) - card[..., 1] > 70) & (card[..., 0].astype(int) - card[..., 2] > 70)
    at_the_right = red[2 * 110 : 2 * 185, 2 * 600 :]
    on_the_portrait = red[2 * 300 : 2 * 420, 2 * 60 : 2 * 265]
    assert at_the_right.mean() > 0.02
    assert on_the_portrait.mean() > 0.02


def test_a_font_without_a_character_is_not_chosen_for_it(fonts: FontSet) -> None:
    assert covers(fonts.han[0], "往来港澳通行证")
    assert not covers(fonts.han[0], "往\U0010ffff")


def test_an_album_names_what_is_in_each_picture(
    tmp_path: Path, fonts: FontSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(judge.SETS, Split.TUNE, fonts)
    album = Album(tmp_path)
    album.add_cards(Split.TUNE, Level.PHONE, range(7, 8))
    album.add_without(Split.TUNE, range(1, 2))
    truth = json.loads((tmp_path / judge.TRUTH).read_text("utf-8"))
    assert {"phone-0007.jpg", "none-0001.jpg"} == set(truth)
    assert {*FIELDS, "level", "split"} == set(truth["phone-0007.jpg"])
    assert {"level": "none", "split": "tune"} == truth["none-0001.jpg"]
    assert all(cv2.imread(str(tmp_path / name)) is not None for name in truth)


def test_missing_fonts_end_the_program_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = FontSet((Path("/nowhere/han.ttf"),), (Path("/nowhere/latin.ttf"),), Path("/nowhere/codes.otf"))
    monkeypatch.setitem(judge.SETS, Split.TUNE, nowhere)
    with pytest.raises(SystemExit, match="apt-get install -y fonts-"):
        judge.need_fonts([Split.TUNE])


def test_wilsons_interval_is_the_known_one() -> None:
    low, high = Share(81, 263).interval()  # Wallis 2013 and Newcombe 1998: 0.2553 to 0.3662
    assert (0.2553, 0.3662) == (round(low, 4), round(high, 4))
    assert (0.0, 1.0) == Share(0, 0).interval()


def test_a_score_counts_right_empty_and_wrong_fields_apart() -> None:
    truth = Permit(card_num="C12345678", name_chn="王安", sex="男")
    whole = truth.to_wire()
    answers = [
        Answer("1", whole, accepted=True, cpu_s=1),
        Answer("2", whole | {"nameChn": ""}, accepted=True, cpu_s=3),
        Answer("3", whole | {"sex": "女"}, accepted=True, cpu_s=2),
        Answer("4", whole | {"cardNum": "C12345670"}, accepted=False, cpu_s=2),
    ]
    counted = score(answers, dict.fromkeys("1234", truth))
    assert (Share(1, 4), Share(3, 4), Share(1, 8)) == (counted.all_right, counted.accepted, counted.wrong_accepted)
    assert (Share(3, 4), 2.0) == (counted.right["sex"], counted.cpu_s)


def test_the_tables_say_what_is_met_and_compare_on_the_same_cards(tmp_path: Path) -> None:
    truth = Permit(card_num="C12345678")
    corpus = Corpus(tmp_path, dict.fromkeys("12", truth), dict.fromkeys("12", "hard"))
    right, empty = truth.to_wire(), Permit().to_wire()
    ours = [Answer("1", right, accepted=True, cpu_s=0.5), Answer("2", empty, accepted=False, cpu_s=1.7)]
    rapid = [Answer("1", empty, accepted=False, cpu_s=1.5)]
    trials = {"ours": Trial(corpus, ours, 0.5, 500.0), "rapidocr": Trial(corpus, rapid, 2.0, 700.0)}
    checks = {tuple(row.split(" | ")[1:]) for row in table.targets(trials).splitlines()}
    assert ("all seven right", ">= 82.0%", "50.0% (9.5-90.5)", "NOT MET |") in checks
    assert ("CPU a card", "<= 1 s", "1.10 s", "NOT MET |") in checks
    assert ("cards a CPU s", ">= 2.0 x", "3.0 x", "met |") in checks
    assert ("cards right", ">= 1 of 1", "1", "met |") in checks
    assert ("ready", "<= 1.5 s", "0.50 s", "met |") in checks
    assert "| hard | rapidocr | 1 | 0.0% (0.0-79.3) |" in table.comparison(trials)


def test_what_was_not_right_is_listed_with_the_truth(tmp_path: Path) -> None:
    truth = Permit(card_num="C12345678", sex="男")
    corpus = Corpus(tmp_path, {"1.jpg": truth}, {"1.jpg": ""})
    trial = Trial(corpus, [Answer("1.jpg", truth.to_wire() | {"sex": ""}, accepted=False, cpu_s=1)], 1, 1)
    assert [("1.jpg", "sex", "男", "", "review")] == trial.not_right()


def test_a_corpus_without_truth_ends_the_program(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"truth\.json is missing"):
        Corpus.open(tmp_path)


def test_the_targets_are_those_of_the_order() -> None:
    assert [(0.995, 0.6), (0.99, 0.7), (0.82, 1.0)] == [
        (TARGETS[level].all_right, TARGETS[level].cpu_s) for level in Level
    ]


def test_a_foreign_line_is_found_once_and_reads_as_what_it_says() -> None:
    corners = np.array([[0, 0], [90, 0], [90, 10], [0, 10]], np.float32)
    lines = ForeignLines()
    lines.give([Found(corners, "C12345678", 0.9)])
    (found,) = lines.find(None, 512)
    line = lines.read(None, found)
    assert list(line.text) == [_character(lines, index) for index in line.probabilities.argmax(axis=1) if index]
    assert [] == lines.find(None, 960)
    assert "" == lines.read(None, corners + 5).text


def _character(lines: ForeignLines, index: int) -> str:
    known: dict[str, int] = lines.recognizer.known
    return next(character for character, at in known.items() if at == index)


def test_foreign_lines_of_a_card_upside_down_are_turned() -> None:
    square = np.array([[0, 0], [90, 0], [90, 10], [0, 10]], np.float32)
    lower = square + np.array([0, 100], np.float32)
    upside_down = [Found(lower, "往来港澳通行证", 1), Found(square, "出生日期", 1)]
    upright = [Found(square, "往来港澳通行证", 1), Found(lower, "出生日期", 1)]
    assert [[90, 110], [90, 10]] == [one.corners[0].tolist() for one in along_the_text(upside_down)]
    assert [[0, 0], [0, 100]] == [one.corners[0].tolist() for one in along_the_text(upright)]
