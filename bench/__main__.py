"""Run every benchmark, or those that are named: `python -m bench [storage] [jobs] [concurrency]`."""

import sys

from bench import concurrency, jobs, storage

ALL = {"storage": storage.run, "jobs": jobs.run, "concurrency": concurrency.run}

for name in sys.argv[1:] or ALL:
    print(f"\n## {name}\n")
    ALL[name]()
