"""A permit of nobody for any picture, in no time: for load tests and rehearsals, in the place of the engine."""

import hashlib
import random

from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reading import Reading, Verdict
from hmt_pass.endpoint.specimen.identity import invent
from hmt_pass.permit import WIRE_NAMES, Permit


class Inventor:
    """Reads nothing. Safe from several threads."""

    def read(self, picture: bytes) -> Reading:
        """`permit_for` the picture, as if it were printed on it, on a card for Hong Kong and Macau."""
        return Reading(Kind.HK_MACAU, permit_for(picture), Verdict.ACCEPT, dict.fromkeys(WIRE_NAMES, 1.0))


def permit_for(picture: bytes) -> Permit:
    """The invented permit that belongs to the bytes of a picture: always the same, for another picture another one."""
    rng = random.Random(hashlib.sha256(picture).digest())  # noqa: S311  nothing is secret about a specimen
    return invent(rng, (Kind.HK_MACAU,)).permit
