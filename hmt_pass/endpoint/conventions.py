"""What the API text leaves open, decided; each decision can be flipped by a switch (docs/endpoint.md, assumptions)."""

from dataclasses import dataclass
from enum import StrEnum

from hmt_pass.codes import Code


class Shape(StrEnum):
    """Where the seven fields lie: in `data`, as in the text's example, or in `data.words_result`, as in its table."""

    FLAT = "flat"
    NESTED = "nested"


class HttpStatus(StrEnum):
    """The HTTP status of a business code: always 200, or the 4xx and 5xx that version 1 of the API used."""

    ALWAYS_200 = "200"
    V1 = "v1"


class NoPermit(StrEnum):
    """A picture without a permit of the kind asked for: refused with 1016, or 0000 with empty fields, and charged."""

    REFUSED = "1016"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Conventions:
    """One choice for each open question."""

    shape: Shape = Shape.FLAT
    http_status: HttpStatus = HttpStatus.ALWAYS_200
    no_permit: NoPermit = NoPermit.REFUSED
    strict_face: bool = False
    """Answer 1004 when the portrait that should be on the card is not."""
    timestamp_window_s: float | None = None
    """How far a timestamp may be from the endpoint's clock; None for any distance."""
    overload: Code = Code.RATE_EXCEEDED
    """The answer when more calls wait than can be read in time: 1009 or 9999."""


_V1_STATUS = {
    Code.OK: 200,
    Code.BAD_SIGNATURE: 401,
    Code.BAD_ACCOUNT: 401,
    Code.ACCOUNT_EXPIRED: 401,
    Code.RATE_EXCEEDED: 403,
    Code.QUOTA_EXCEEDED: 403,
    Code.NO_PERMISSION: 403,
    Code.RESTRICTED: 403,
    Code.NO_BALANCE: 403,
    Code.BAD_PATH: 404,
    Code.SERVER_ERROR: 500,
    Code.DATA_SERVICE_ERROR: 500,
}


def http_status(style: HttpStatus, code: str) -> int:
    """The HTTP status of a business code (wire value); in the older style 400 where nothing else fits."""
    if style is HttpStatus.ALWAYS_200:
        return 200
    known = Code.find(code)
    return _V1_STATUS.get(known, 400) if known else 500
