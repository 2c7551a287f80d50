"""`python -m local up`: the whole system on this machine until Ctrl-C."""

import shlex
import time
from pathlib import Path

from local import cards
from local.s3 import BUCKET
from local.stack import Stack, running_stack

SAMPLE = "uploads/sample.jpg"
LOOK_EVERY_S = 1.0
WORDS = """
Flower    {flower}
endpoint  {endpoint}
S3        {s3}  (bucket {bucket}; empty again at the next start)
Redis     {redis}
logs      {logs}

To use it, paste into a shell:

{exports}

and then into .venv/bin/python:

from hmt_pass import producer
job_id = producer.enqueue("s3://{bucket}/{sample}")
print(producer.wait(job_id), producer.result(job_id))

Ctrl-C stops everything in order.
"""


def run(folder: Path) -> int:
    """Keep the stack running with its state in `folder`; ends with KeyboardInterrupt. Raises ProcessError."""
    with running_stack(folder / "up", print) as stack:
        stack.s3.client.put_object(Bucket=BUCKET, Key=SAMPLE, Body=cards.first()[0].image)
        print(_words(stack), flush=True)
        while True:
            for process in stack.processes:
                process.check_running()
            time.sleep(LOOK_EVERY_S)


def _words(stack: Stack) -> str:
    exports = (f"export {name}={shlex.quote(value)}" for name, value in stack.environment.items())
    return WORDS.format(
        flower=stack.flower.url,
        endpoint=stack.endpoint.url,
        s3=stack.s3.url,
        redis=stack.redis.url,
        logs=stack.logs,
        bucket=BUCKET,
        sample=SAMPLE,
        exports="\n".join(exports),
    )
