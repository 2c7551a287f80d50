"""What one process in the fleet does at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from hmt_pass.store import Store


@contextmanager
def alone(store: Store, name: str, at_most_s: int) -> Iterator[bool]:
    """Whether nobody else is at it; one that died is waited for, `at_most_s`. Raises StoreError."""
    is_alone = bool(store.set(name, "1", nx=True, ex=at_most_s))
    try:
        yield is_alone
    finally:
        if is_alone:
            store.delete(name)
