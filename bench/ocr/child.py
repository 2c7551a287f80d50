"""One engine in a process of its own: `python -m bench.ocr.child ENGINE FOLDER LIMIT`, a JSON object on each line.

First `ready_s`, then an answer for each picture of truth.json (at most LIMIT a level), last `memory_mb`.
"""

import json
import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path

from bench.ocr.engines import ENGINES
from bench.ocr.judge import TRUTH

STARTED_AT = "BENCH_STARTED_AT"
"""Environment variable: when the process was started, in seconds since 1970."""


def cpu_s() -> float:
    """CPU seconds of this process and of the programs that it started and that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def resident_mb(which: str) -> float:
    """Resident memory of this process (Linux): `VmRSS` now, `VmHWM` at its greatest.

    Not getrusage: its maximum begins with that of the process that started this one.
    """
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(which)).split()[1]) / 1000


def _memory_mb() -> float:
    """The greatest resident memory of this process, or of a program that it started when that is more."""
    return max(resident_mb("VmHWM"), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000)


def pictures(folder: Path, limit: int) -> list[Path]:
    """The pictures of a corpus by name, at most `limit` of each level."""
    counted: Counter[str] = Counter()
    chosen = []
    for name, facts in sorted(json.loads((folder / TRUTH).read_text("utf-8")).items()):
        level = facts.get("level", "")
        if counted[level] < limit:
            chosen.append(folder / name)
        counted[level] += 1
    return chosen


def main(engine: str, folder: Path, limit: int) -> None:
    """Read every picture once, the first one once more before that: a first call allocates."""
    read = ENGINES[engine]()
    _say(ready_s=time.time() - float(os.environ[STARTED_AT]))
    chosen = pictures(folder, limit)
    for path in chosen[:1]:
        read(path.read_bytes())
    for path in chosen:
        picture = path.read_bytes()
        before_s = cpu_s()
        fields, accepted = read(picture)
        _say(name=path.name, fields=fields, accepted=accepted, cpu_s=cpu_s() - before_s)
    _say(memory_mb=_memory_mb())


def _say(**facts: object) -> None:
    print(json.dumps(facts, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
