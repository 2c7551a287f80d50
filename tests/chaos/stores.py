"""Reads the facts out of Redis, S3 and the endpoint's books."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from chaos.facts import Facts, JobFacts
from chaos.held import Held
from chaos.scripted import Call

from hmt_pass import keys
from hmt_pass.job import Lane
from hmt_pass.store import Store
from local.s3 import BUCKET, S3Server
from worker.ledger import Entry
from worker.puts import letter_of

CHUNK = 500
PREFIX = "hmt-pass/"


def gather(
    store: Store, held: Held, s3: S3Server, calls: Sequence[Call], accepted: Collection[str], *, drained: bool
) -> Facts:
    """The facts about the accepted jobs, and about every job that the endpoint was asked for."""
    job_ids = sorted({*accepted, *(call.job_id for call in calls)})
    jobs = dict(zip(job_ids, read_jobs(store, job_ids), strict=True))
    return Facts(
        accepted=accepted,
        jobs=jobs,
        waiting=held.waiting(),
        open_jobs=open_jobs(store),
        letters=_letters(held.letters()),
        dead_messages=tuple(message.job_id for message in held.buried()),
        objects=_objects(s3, jobs),
        calls=tuple(calls),
        booked_at=_charges_booked(store),
        drained=drained,
    )


def open_jobs(store: Store) -> frozenset[str]:
    """The jobs that have no end yet, those among them too whose enqueue was refused though Redis had heard of it."""
    return frozenset(str(job_id) for lane in Lane for job_id in store.zrange(keys.open_jobs(lane), 0, -1))


def states(store: Store, job_ids: Sequence[str]) -> list[str]:
    """Where the jobs stand, "unknown" for a job that Redis does not know."""
    found: list[str] = []
    for start in range(0, len(job_ids), CHUNK):
        with store.pipeline(transaction=False) as pipe:
            for job_id in job_ids[start : start + CHUNK]:
                pipe.hget(keys.job(job_id), "state")
            found += [state or "unknown" for state in pipe.execute()]
    return found


def _charges_booked(store: Store) -> dict[str, str]:
    """When each charge came into the ledger, by the clock of Redis and in the form of a record's times."""
    found: dict[str, str] = {}
    for entry_id, fields in store.xrange(keys.LEDGER):
        entry = Entry.from_line({"entry_id": entry_id, "job_id": fields["job_id"], **json.loads(fields["call"])})
        if entry.charge == 1:
            found.setdefault(entry.sequence_id, entry.at.isoformat(timespec="milliseconds"))
    return found


def _letters(entries: Mapping[str, str]) -> dict[str, str]:
    return {job_id: letter_of(text).reason for job_id, text in entries.items()}


def read_jobs(store: Store, job_ids: Sequence[str]) -> Iterator[JobFacts]:
    """What Redis says about each of the jobs."""
    for start in range(0, len(job_ids), CHUNK):
        with store.pipeline(transaction=False) as pipe:
            for job_id in job_ids[start : start + CHUNK]:
                pipe.hgetall(keys.job(job_id))
                pipe.hgetall(keys.attempts(job_id))
                pipe.get(keys.result(job_id))
                pipe.exists(keys.receipt(job_id))
            answers = pipe.execute()
        for fields, attempts, result, receipts in zip(*(answers[part::4] for part in range(4)), strict=True):
            records = (json.loads(text) for _, text in sorted(attempts.items(), key=lambda item: int(item[0])))
            yield JobFacts(fields, tuple(records), json.loads(result) if result else None, bool(receipts))


def _objects(s3: S3Server, jobs: Mapping[str, JobFacts]) -> dict[str, dict[str, Any]]:
    """The results in S3 of these jobs; by their etags, those that have the bytes of the copy in Redis are not read."""
    etags = _etags(s3)
    found = {
        job_id: job.result for job_id, job in jobs.items() if job.result and _etag(job.result) == etags.get(job_id)
    }
    unread = [job_id for job_id in jobs if job_id in etags and job_id not in found]
    with ThreadPoolExecutor(8) as threads:
        read = dict(zip(unread, threads.map(lambda job_id: _read(s3, job_id), unread), strict=True))
    return {job_id: dict(document) for job_id, document in {**found, **read}.items()}


def _etags(s3: S3Server) -> dict[str, str]:
    pages = s3.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=PREFIX)
    listed = [item for page in pages for item in page.get("Contents", ())]
    return {item["Key"].removeprefix(PREFIX).removesuffix(".json"): item["ETag"].strip('"') for item in listed}


def _etag(document: Mapping[str, Any]) -> str:
    body = json.dumps(document, ensure_ascii=False).encode(errors="backslashreplace")
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _read(s3: S3Server, job_id: str) -> dict[str, Any]:
    answer = s3.client.get_object(Bucket=BUCKET, Key=f"{PREFIX}{job_id}.json")
    document: dict[str, Any] = json.loads(answer["Body"].read())
    return document
