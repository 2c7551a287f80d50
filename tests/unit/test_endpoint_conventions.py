"""What the API text leaves open: the defaults, and the HTTP status of each code."""

import pytest

from hmt_pass.codes import Code
from hmt_pass.endpoint.conventions import Conventions, HttpStatus, NoPermit, Shape, http_status

OLDER_STYLE = {
    200: {"0000"},
    401: {"1000", "1007", "1008"},
    403: {"1009", "1010", "1011", "1027", "9980"},
    404: {"1012"},
    500: {"9990", "9999"},
    400: {"1001", "1002", "1003", "1004", "1005", "1006", "1013", "1014", "1015", "1016"},
}


def test_the_defaults_are_the_text_s_example_and_refusals_that_cost_nothing() -> None:
    by_default = Conventions()
    assert (Shape.FLAT, HttpStatus.ALWAYS_200, NoPermit.REFUSED, False, None, Code.RATE_EXCEEDED) == (
        by_default.shape,
        by_default.http_status,
        by_default.no_permit,
        by_default.strict_face,
        by_default.timestamp_window_s,
        by_default.overload,
    )


@pytest.mark.parametrize("code", [*(code.value for code in Code), "4711"])
def test_http_says_200_to_everything_by_default(code: str) -> None:
    assert http_status(HttpStatus.ALWAYS_200, code) == 200


@pytest.mark.parametrize("code", [code.value for code in Code])
def test_the_older_style_has_a_status_for_each_code(code: str) -> None:
    assert code in OLDER_STYLE[http_status(HttpStatus.V1, code)]


def test_a_code_that_the_text_does_not_list_is_500_in_the_older_style() -> None:
    assert http_status(HttpStatus.V1, "4711") == 500
