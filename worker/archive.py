"""What Redis must not keep for ever and nobody may lose: written to S3 as JSON lines."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hmt_pass.errors import HmtPassError
from worker.storage import Storage


class NoArchiveError(HmtPassError):
    """Nobody has said where the archive is."""

    reason = "no archive"


class Archive:
    """Objects `{prefix}{kind}/{name}.jsonl` in one bucket. Raises NoArchiveError without it, else what Storage does."""

    def __init__(self, storage: Storage, bucket: str | None, prefix: str) -> None:
        self._storage = storage
        self._bucket = bucket
        self._prefix = prefix

    def keep(self, kind: str, name: str, lines: Sequence[Mapping[str, Any]]) -> str:
        """Write the lines as one object, in place of an earlier one of that name; returns its s3:// address."""
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        return self._storage.put_text(self.bucket, f"{self._prefix}{kind}/{name}.jsonl", text)

    def names(self, kind: str, after: str = "") -> Iterator[str]:
        """The names of a kind, in order, beginning after one."""
        folder = f"{self._prefix}{kind}/"
        for key in self._storage.keys(self.bucket, folder, f"{folder}{after}"):
            yield key.removeprefix(folder).removesuffix(".jsonl")

    def read(self, kind: str, name: str) -> list[dict[str, Any]]:
        """The lines of one object."""
        text = self._storage.get_text(self.bucket, f"{self._prefix}{kind}/{name}.jsonl")
        return [json.loads(line) for line in text.splitlines()]

    @property
    def bucket(self) -> str:
        """Where it is."""
        if self._bucket is None:
            raise NoArchiveError(
                "set HMT_PASS_ARCHIVE_BUCKET or HMT_PASS_RESULTS_BUCKET: there is no place for an archive"
            )
        return self._bucket
