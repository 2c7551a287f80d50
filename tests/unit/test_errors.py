import pickle

import pytest

from hmt_pass import errors
from hmt_pass.codes import Code, Disposition
from hmt_pass.errors import HmtPassError, ImageRejectedError, UnreadableReplyError


def tree(root: type[HmtPassError]) -> list[type[HmtPassError]]:
    return [root, *(found for child in root.__subclasses__() for found in tree(child))]


ALL = [error for error in tree(HmtPassError) if error.__module__ == errors.__name__]
MADE = {
    ImageRejectedError: ImageRejectedError(Code.IMAGE_TOO_LARGE, "the file has 6000000 bytes"),
    UnreadableReplyError: UnreadableReplyError(502, "24 bytes that are no JSON object"),
}


def made(error: type[HmtPassError]) -> HmtPassError:
    return MADE.get(error) or error("what happened")


@pytest.mark.parametrize("error", ALL)
def test_every_error_survives_pickling(error: type[HmtPassError]) -> None:
    original = made(error)
    copy = pickle.loads(pickle.dumps(original))
    assert type(original) is type(copy)
    assert (str(original), original.args, vars(original)) == (str(copy), copy.args, vars(copy))


@pytest.mark.parametrize("error", ALL)
def test_every_error_knows_its_disposition_and_a_reason(error: type[HmtPassError]) -> None:
    assert isinstance(made(error).disposition, Disposition)
    assert made(error).reason


@pytest.mark.parametrize("error", ALL)
def test_the_tree_drawn_on_top_of_the_module_shows_every_error(error: type[HmtPassError]) -> None:
    assert errors.__doc__ is not None
    assert f" {error.__name__}" in errors.__doc__


@pytest.mark.parametrize(
    ("name", "disposition"),
    [
        ("ImageRejectedError", Disposition.REJECT),
        ("NotConnectedError", Disposition.RETRY),
        ("NotSentError", Disposition.RETRY),
        ("UnansweredError", Disposition.RETRY),
        ("ObjectMissingError", Disposition.DEAD_LETTER),
        ("ObjectChangedError", Disposition.DEAD_LETTER),
        ("ObjectDeniedError", Disposition.RETRY),
        ("StorageError", Disposition.RETRY),
        ("StoreError", Disposition.SNOOZE),
        ("NoRoomError", Disposition.RETRY),
        ("InvalidJobError", Disposition.DEAD_LETTER),
        ("HmtPassError", Disposition.DEAD_LETTER),
    ],
)
def test_the_dispositions_are_those_of_the_design(name: str, disposition: Disposition) -> None:
    assert disposition is made(getattr(errors, name)).disposition


@pytest.mark.parametrize(
    ("http_status", "disposition"),
    [
        (500, Disposition.RETRY),
        (502, Disposition.RETRY),
        (499, Disposition.DEAD_LETTER),
        (200, Disposition.DEAD_LETTER),
    ],
)
def test_a_gateways_own_fault_is_retried_and_a_foreign_answer_is_not(
    http_status: int, disposition: Disposition
) -> None:
    assert disposition is UnreadableReplyError(http_status, "html").disposition


def test_only_a_call_that_never_left_is_surely_free() -> None:
    charged = {error for error in tree(errors.CallError) if made(error).possibly_charged}  # type: ignore[attr-defined]  # a CallError
    assert set(tree(errors.CallError)) - {errors.NotConnectedError, errors.NotSentError} == charged


def test_the_texts_lead_with_what_an_operator_looks_up() -> None:
    assert str(MADE[ImageRejectedError]) == "1013 the file has 6000000 bytes"
    assert str(MADE[UnreadableReplyError]) == "HTTP 502: 24 bytes that are no JSON object"
