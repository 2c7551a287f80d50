from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hmt_pass.errors import InvalidJobError
from hmt_pass.job import MAX_KEY_BYTES, ImageRef, Job, Lane, check_job_id, derive_job_id, parse_flag, parse_lane
from hmt_pass.permit import Flag

BUCKETS = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,20}[a-z0-9]", fullmatch=True)
KEYS = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=100)
VERSIONS = st.none() | st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True)


@settings(max_examples=40)
@given(BUCKETS, KEYS, VERSIONS)
def test_a_reference_survives_its_text_form_whatever_the_key(bucket: str, key: str, version_id: str | None) -> None:
    assume("?versionId=" not in key)  # means a version, as docs/protocol.md says
    ref = ImageRef(bucket, key, version_id)
    assert ref == ImageRef.parse(str(ref))


@given(st.text() | st.binary() | st.none() | st.integers())
def test_any_other_text_is_either_a_reference_or_refused(text: object) -> None:
    try:
        ref = ImageRef.parse(text)
    except InvalidJobError:
        return
    assert text == str(ref)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://photos/a.jpg", ImageRef("photos", "a.jpg")),
        ("s3://photos/2026/证件 1.jpg", ImageRef("photos", "2026/证件 1.jpg")),
        ("s3://photos//a//b/", ImageRef("photos", "/a//b/")),
        ("s3://photos/a%2Fb+c#d?e", ImageRef("photos", "a%2Fb+c#d?e")),
        ("s3://photos/a.jpg?versionId=v1", ImageRef("photos", "a.jpg", "v1")),
        ("s3://photos/a?b=c?versionId=v1", ImageRef("photos", "a?b=c", "v1")),
        ("s3://photos/a.jpg?versionId=", ImageRef("photos", "a.jpg?versionId=")),
        (f"s3://photos/{'k' * MAX_KEY_BYTES}", ImageRef("photos", "k" * MAX_KEY_BYTES)),
    ],
)
def test_a_reference_is_read_as_it_is_written(text: str, expected: ImageRef) -> None:
    assert expected == ImageRef.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.jpg",
        "s3://",
        "s3://photos",
        "s3://photos/",
        "s3:///a.jpg",
        "s3://Photos/a.jpg",
        "s3://p/a.jpg",
        "S3://photos/a.jpg",
        "https://photos.s3.example/a.jpg",
        " s3://photos/a.jpg",
        "s3://photos/a\n.jpg",
        "s3://photos/a\x00.jpg",
        "s3://photos/\ud800.jpg",
        f"s3://photos/{'k' * (MAX_KEY_BYTES + 1)}",
        f"s3://photos/{'证' * (MAX_KEY_BYTES // 3 + 1)}",
        None,
        7,
        b"s3://photos/a.jpg",
    ],
)
def test_what_is_no_reference_is_refused_with_the_form_to_use(text: object) -> None:
    with pytest.raises(InvalidJobError, match="s3://bucket/key"):
        ImageRef.parse(text)


def test_a_double_click_is_one_job() -> None:
    assert Job.create("s3://photos/a.jpg") == Job.create("s3://photos/a.jpg")


def test_whatever_tells_two_readings_apart_gives_another_id() -> None:
    jobs = [
        Job.create("s3://photos/a.jpg"),
        Job.create("s3://photos/b.jpg"),
        Job.create("s3://photo/a.jpg"),
        Job.create("s3://photos/a.jpg?versionId=v1"),
        Job.create("s3://photos/a.jpg", etag="e"),
        Job.create("s3://photos/a.jpg", etag="v1"),
        Job.create("s3://photos/a.jpg", Flag.TAIWAN),
    ]
    assert len(jobs) == len({job.job_id for job in jobs})


def test_the_derived_id_is_what_the_protocol_says() -> None:
    # printf 'photos\na.jpg\n\n\n0' | sha256sum
    assert "c77de64a956ae91a92dc7cc77720a5fa" == derive_job_id(ImageRef("photos", "a.jpg"), Flag.HK_AND_MACAU, None)


def test_the_lane_makes_no_other_job() -> None:
    assert Job.create("s3://photos/a.jpg").job_id == Job.create("s3://photos/a.jpg", lane="bulk").job_id


def test_an_etag_counts_with_and_without_its_quotes() -> None:
    assert Job.create("s3://photos/a.jpg", etag="e") == Job.create("s3://photos/a.jpg", etag='"e"')


@pytest.mark.parametrize(
    ("options", "pinned"), [({}, False), ({"etag": ""}, False), ({"etag": "e"}, True), ({"job_id": "a"}, False)]
)
def test_only_an_etag_or_a_version_pins_the_content(options: dict[str, Any], pinned: bool) -> None:
    assert pinned is Job.create("s3://photos/a.jpg", **options).pinned
    assert Job.create("s3://photos/a.jpg?versionId=v1", **options).pinned


@settings(max_examples=30)
@given(BUCKETS, KEYS, st.sampled_from(Flag), st.sampled_from(Lane), st.none() | st.text("abc0", min_size=1))
def test_a_job_comes_out_of_its_message_as_it_went_in(
    bucket: str, key: str, flag: Flag, lane: Lane, etag: str | None
) -> None:
    job = Job.create(str(ImageRef(bucket, key)), flag, etag=etag, lane=lane)
    assert job == Job.from_message(job.job_id, (), job.kwargs, lane.queue)


def test_a_message_holds_references_and_plain_values_only() -> None:
    job = Job.create("s3://photos/a.jpg", Flag.MACAU, etag="e")
    assert {"image": "s3://photos/a.jpg", "hmt_flag": 2, "etag": "e"} == job.kwargs
    assert {"image": "s3://photos/a.jpg", "hmt_flag": 0} == Job.create("s3://photos/a.jpg").kwargs


def test_a_message_without_a_flag_means_hong_kong_and_macau() -> None:
    job = Job.from_message("a", [], {"image": "s3://photos/a.jpg"}, None)
    assert (Flag.HK_AND_MACAU, Lane.INTERACTIVE, None) == (job.flag, job.lane, job.etag)


@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        (["s3://photos/a.jpg"], {}, "keyword arguments only"),
        ([], {"image": "s3://photos/a.jpg", "x": 1, "b": 2}, "unknown arguments: b, x"),
        ([], {"image": "s3://photos/a.jpg", "etag": 1}, "etag is what S3 answered"),
        ([], {"hmt_flag": 0}, "image must be"),
    ],
)
def test_arguments_that_are_no_job_are_refused(args: list[str], kwargs: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidJobError, match=problem):
        Job.from_message("a", args, kwargs, "hmt_pass")


@pytest.mark.parametrize("job_id", ["a", "A-1_b.c", "0" * 128])
def test_a_job_id_is_fit_for_keys(job_id: str) -> None:
    assert job_id == check_job_id(job_id)


@pytest.mark.parametrize("job_id", ["", ".a", "-a", "a/b", "a b", "a:b", "a\n", "证", "0" * 129, None, 7])
def test_any_other_job_id_is_refused(job_id: object) -> None:
    with pytest.raises(InvalidJobError, match="1 to 128 letters"):
        check_job_id(job_id)


@pytest.mark.parametrize("flag", [-1, 4, True, "0", 0.0, None, [0]])
def test_a_flag_is_one_of_four_numbers(flag: object) -> None:
    assert Flag.TAIWAN is parse_flag(3)
    with pytest.raises(InvalidJobError, match="hmt_flag is 0"):
        parse_flag(flag)


def test_a_lane_is_known_by_its_name_and_its_queue() -> None:
    assert (Lane.BULK, Lane.BULK) == (parse_lane("bulk"), Lane.of_queue("hmt_pass.bulk"))
    assert Lane.INTERACTIVE is Lane.of_queue("somebody else's")
    with pytest.raises(InvalidJobError, match="interactive, bulk"):
        parse_lane("hmt_pass.bulk")


def test_the_sequence_id_is_another_for_every_attempt() -> None:
    job = Job.create("s3://photos/a.jpg", job_id="mine")
    assert ["mine-1", "mine-2"] == [job.sequence_id(attempt) for attempt in (1, 2)]
