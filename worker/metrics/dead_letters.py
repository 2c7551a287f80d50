"""Dead letters by reason, cheaply: each letter is read once, and the list of their ids only when it has changed."""

from collections import Counter
from typing import NamedTuple

from hmt_pass import codes
from worker.dead_letter_index import CHUNK, DeadLetterIndex, chunks
from worker.letters import DeadLetter


class Group(NamedTuple):
    """What dead letters have in common: the business code, or an empty one, and the reason without particulars."""

    code: str
    reason: str

    @classmethod
    def of(cls, letter: DeadLetter) -> "Group":
        """The group of a dead letter: one of a few, whatever its texts quote."""
        head = letter.reason.partition(":")[0]
        if letter.code is None or head == "exhausted":
            return cls(letter.code or "", head)
        return cls(letter.code, codes.meaning(letter.code))


class LetterCounts:
    """Keeps the group of each dead letter that there is: some 30 MB when there are 100,000. Not thread-safe."""

    def __init__(self, index: DeadLetterIndex) -> None:
        self._index = index
        self._mark: tuple[int, float] | None = None
        self._known: dict[str, tuple[float, Group]] = {}

    def counts_by_reason(self) -> Counter[Group]:
        """How many dead letters there are of each group. Raises StoreError."""
        mark = self._index.mark()
        if mark != self._mark:
            self._read()
            self._mark = mark
        return Counter(group for _, group in self._known.values())

    def _read(self) -> None:
        letters = self._index.ids()
        times = dict(letters)
        self._known = {
            job_id: known for job_id, known in self._known.items() if times.get(job_id) == known[0]
        }  # the others are gone, or have been put anew
        for chunk in chunks((one for one in letters if one.job_id not in self._known), CHUNK):
            for letter, put in zip(chunk, self._index.puts(chunk), strict=True):
                if put:
                    self._known[letter.job_id] = (letter.put_at, Group.of(put.letter))
