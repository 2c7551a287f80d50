"""`python -m hmt_pass.endpoint.specimen --out DIR --count N`: write specimens and truth.json.

truth.json maps each file name to the seven fields under their wire names, and to kind and level.
"""

import argparse
import json
import random
import sys
from pathlib import Path

from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.specimen import Level, draw, encode, invent
from hmt_pass.errors import SettingsError

_KINDS = {kind.name.lower(): (kind,) for kind in Kind} | {"mixed": tuple(Kind)}


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hmt_pass.endpoint.specimen", description="Draw synthetic permits.")
    parser.add_argument("--out", type=Path, required=True, help="folder, made when it is not there")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same cards")
    parser.add_argument("--level", choices=[level.name.lower() for level in Level], default="clean")
    parser.add_argument("--kind", choices=sorted(_KINDS), default="mixed")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Write the specimens; the exit code."""
    arguments = _arguments(argv)
    try:
        write(arguments.out, arguments.count, arguments.seed, Level[arguments.level.upper()], _KINDS[arguments.kind])
    except SettingsError as error:
        print(f"specimen: {error}", file=sys.stderr)  # noqa: T201  for whoever started it
        return 2
    return 0


def write(out: Path, count: int, seed: int, level: Level, kinds: tuple[Kind, ...]) -> None:
    """Write `count` cards as 0001.jpg and so on, and truth.json."""
    out.mkdir(parents=True, exist_ok=True)
    truth = {}
    for number in range(1, count + 1):
        # A generator for each card: card 7 of a seed is the same whatever the count.
        rng = random.Random(f"{seed} {number}")  # noqa: S311  nothing is secret about a specimen
        identity = invent(rng, kinds)
        name = f"{number:04d}.jpg"
        (out / name).write_bytes(encode(draw(identity, level, rng), level, rng))
        facts = {"kind": identity.kind.name.lower(), "level": level.name.lower()}
        truth[name] = identity.permit.to_wire() | facts
    text = json.dumps(truth, ensure_ascii=False, indent=1)
    (out / "truth.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
