"""What Redis cannot keep for ever, in S3: JSON lines, one object a batch."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hmt_pass.errors import SettingsError
from worker.storage import Storage


class Archive:
    """A place in a bucket; `bucket` is None when no setting names one.

    Methods raise StorageError and ObjectDeniedError, and SettingsError when there is no bucket.
    """

    def __init__(self, storage: Storage, bucket: str | None, prefix: str) -> None:
        self._storage = storage
        self._bucket = bucket
        self._prefix = prefix

    def keep(self, kind: str, name: str, lines: Sequence[Mapping[str, Any]]) -> str:
        """Write the lines to `{prefix}{kind}/{name}.jsonl`; returns its s3:// address once S3 has them."""
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        return self._storage.put_lines(self._place, f"{self._prefix}{kind}/{name}.jsonl", text)

    def names(self, kind: str, after: str = "") -> Iterator[str]:
        """The names of a kind, in order, beginning after one."""
        folder = f"{self._prefix}{kind}/"
        for key in self._storage.keys(self._place, folder, f"{folder}{after}"):
            yield key.removeprefix(folder).removesuffix(".jsonl")

    def read(self, kind: str, name: str) -> list[dict[str, Any]]:
        """The lines of one object."""
        text = self._storage.get_text(self._place, f"{self._prefix}{kind}/{name}.jsonl")
        return [json.loads(line) for line in text.splitlines()]

    @property
    def _place(self) -> str:
        if self._bucket is None:
            raise SettingsError("nothing is archived: set HMT_PASS_ARCHIVE_BUCKET or HMT_PASS_RESULTS_BUCKET")
        return self._bucket
