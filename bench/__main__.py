"""Run every benchmark, or those named: `python -m bench [enqueue] [storage] [jobs] [concurrency] [dead_letters]`.

`python -m bench ocr [--help]` compares the OCR engine with others; it takes long and is run by name only.
`python -m bench load [--help]` offers the endpoint more calls than it can answer, for ten minutes; by name only, too.
"""

import sys

from bench import concurrency, dead_letters, enqueue, jobs, load, storage
from bench.ocr import compare

ALL = {
    "enqueue": enqueue.run,
    "storage": storage.run,
    "jobs": jobs.run,
    "concurrency": concurrency.run,
    "dead_letters": dead_letters.run,
}

if sys.argv[1:2] == ["ocr"]:
    compare.main(sys.argv[2:])
elif sys.argv[1:2] == ["load"]:
    sys.exit(load.main(sys.argv[2:]))
else:
    for name in sys.argv[1:] or ALL:
        print(f"\n## {name}\n")
        ALL[name]()
