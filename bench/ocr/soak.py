"""Whether memory stays flat: `python -m bench.ocr.soak FOLDER COUNT` reads a corpus again and again in one process."""

import sys
from itertools import cycle, islice
from pathlib import Path

from bench.ocr.child import pictures, resident_mb
from bench.ocr.engines import ours
from bench.ocr.targets import MAX_MEMORY_MB

_EVERY = 250


def main(folder: Path, count: int) -> None:
    """Print the resident memory every 250 readings, its maximum, and its growth from the first line to the last."""
    read = ours()
    seen: list[float] = []
    for number, path in enumerate(islice(cycle(pictures(folder, sys.maxsize)), count), start=1):
        read(path.read_bytes())
        if number % _EVERY == 0 or number == count:
            seen.append(resident_mb("VmRSS"))
            print(f"{number:>6} readings {seen[-1]:>6.0f} MB", flush=True)
    peak_mb = resident_mb("VmHWM")
    met = "met" if peak_mb <= MAX_MEMORY_MB else "NOT MET"
    print(
        f"peak {peak_mb:.0f} MB of {MAX_MEMORY_MB} MB ({met}), growth since the first line {seen[-1] - seen[0]:+.0f} MB"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
