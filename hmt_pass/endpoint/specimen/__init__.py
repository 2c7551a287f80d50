"""Synthetic permits with their truth, for demo, tests and benchmarks. All people are invented, every card is marked.

With rng = random.Random(7) and identity = invent(rng), draw(identity, Level.PHONE, rng) is a PIL image, encode() makes
the file of it, and identity.permit is the truth on the wire.
"""

from hmt_pass.endpoint.specimen.identity import Identity, invent
from hmt_pass.endpoint.specimen.photo import Level, draw, encode

__all__ = ["Identity", "Level", "draw", "encode", "invent"]
