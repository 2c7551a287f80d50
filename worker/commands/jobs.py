"""`status JOB` and `result JOB`."""

from dataclasses import asdict

import click

from hmt_pass import codes
from hmt_pass.producer import Producer
from worker.commands.output import show, table, with_json
from worker.letters import redrives
from worker.services import services
from worker.why import answer


def _producer() -> Producer:
    settings = services().settings
    return Producer(settings.redis, settings.broker)


@click.command()
@click.argument("job_id")
@with_json
def status(*, job_id: str, as_json: bool) -> None:
    """Where a job stands and why, what to do about it, and every attempt so far."""
    known = _producer().status(job_id)
    found = {"job_id": job_id, "state": known.state, **asdict(answer(services(), known))} | known.as_dict()
    attempts = services().claims.attempts(job_id)
    past = redrives(services().claims.fields(job_id))
    found["waiting_until"] = services().delayed.due_at(job_id)
    lines = table(found) + [
        f"attempt {item['attempt']}  {item['started_at']}  {_outcome(item.get('code'), item.get('error'))}"
        for item in attempts
    ]
    lines += [f"redriven  {one['at']}  by {one['by']}  as {one['name']}" for one in past]
    show({**found, "attempt_records": attempts, "redrives": past}, as_json=as_json, lines=lines)


def _outcome(code: str | None, error: str | None) -> str:
    """How an attempt ended."""
    return f"{code} {codes.meaning(code)}" if code else error or "under way"


@click.command()
@click.argument("job_id")
@with_json
def result(*, job_id: str, as_json: bool) -> None:
    """The result document of a job, from Redis or else from S3. Prints the fields of a real permit: mind who looks."""
    found = _producer()
    document = found.result(job_id)
    address = found.status(job_id).result
    if document is None and address:
        document = services().storage.get_json(address)
    if document is None:
        raise click.ClickException(f"no result for {job_id}; `python -m worker status {job_id}` says where it stands")
    fields = {**(document["permit"] or {}), **{k: document[k] for k in ("state", "code", "reason")}, "stored": address}
    show(document, as_json=as_json, lines=table(fields))
