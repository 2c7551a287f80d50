"""The result document of a job: docs/result.schema.json describes it.

Nothing else that the worker writes holds a permit's fields, but the receipt that it replaces.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hmt_pass import __version__
from hmt_pass.job import Job
from hmt_pass.permit import Permit, Reply
from hmt_pass.status import State

SCHEMA = "hmt_pass.result/1"

Document = dict[str, Any]
Source = Mapping[str, str | None]


def source(image: object, sha256: str, etag: str, version_id: str | None) -> Source:
    """Which bytes were read, exactly."""
    return {"image": str(image), "sha256": sha256, "etag": etag, "version_id": version_id}


def recognized(job: Job, photo: Source, reply: Reply, attempts: Sequence[Mapping[str, Any]], moment: str) -> Document:
    """The permit as the endpoint read it, its normalised values, and what it took."""
    return {
        **_head(job, State.RECOGNIZED, photo, moment),
        "code": reply.code,
        "msg": reply.msg,
        "reason": None,
        "request_id": reply.request_id,
        "image_id": reply.image_id or None,
        "charge": 1 if reply.charged else 2,
        "copied_from": None,
        **_fields(reply.permit),
        "attempts": list(attempts),
    }


def rejected(
    job: Job, photo: Source, code: str, reason: str, attempts: Sequence[Mapping[str, Any]], moment: str
) -> Document:
    """Why the uploader has to send another image: the business code, the local check's or the endpoint's."""
    return {
        **_head(job, State.REJECTED, photo, moment),
        "code": code,
        "msg": None,
        "reason": reason,
        "request_id": attempts[-1]["request_id"] if attempts else None,
        "image_id": None,
        "charge": None,
        "copied_from": None,
        **_fields(None),
        "attempts": list(attempts),
    }


def copied(job: Job, photo: Source, original: Document, attempts: Sequence[Mapping[str, Any]], moment: str) -> Document:
    """The same content and flag was read for another job: its reading, free of charge."""
    head = _head(job, State.RECOGNIZED, photo, moment)
    return {**original, **head, "charge": None, "copied_from": original["job_id"], "attempts": list(attempts)}


def _head(job: Job, state: State, photo: Source, moment: str) -> Document:
    return {
        "schema": SCHEMA,
        "job_id": job.job_id,
        "state": str(state),
        "hmt_flag": int(job.flag),
        "source": dict(photo),
        "finished_at": moment,
        "worker_version": __version__,
    }


def _fields(permit: Permit | None) -> Document:
    if permit is None:
        return {"permit": None, "normalised": None, "unparsed": [], "extra": {}}
    return {
        "permit": permit.to_wire(),
        "normalised": permit.normalised(),
        "unparsed": list(permit.problems),
        "extra": dict(permit.extra),
    }
