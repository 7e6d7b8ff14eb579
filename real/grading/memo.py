"""Grades that were found before, bounded in bytes."""

import os
import sys
import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")
Key = tuple[str | None, tuple[str, ...]]
MEMO_BYTES = 64 * 2**20
# a longer answer is compared as text alone, which costs no more than to look it up
KEY_BYTES = 8 * 2**10
ENTRY_BYTES = 400  # of the containers around the texts


class Memo(Generic[Value]):
    """Values by answer and ground truths; the oldest make room. Threads may share it, and forked children begin anew.

    Args:
        limit: bytes of all keys; keys of more than :data:`KEY_BYTES` are not kept.
    """

    def __init__(self, limit: int = MEMO_BYTES) -> None:
        self.limit = limit
        self.clear()
        if hasattr(os, "register_at_fork"):
            # a thread of the parent may hold the lock at that moment, in the middle of a change
            os.register_at_fork(after_in_child=self.clear)

    def clear(self) -> None:
        """Forget all values."""
        self.lock, self.bytes = threading.Lock(), 0
        self.values: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """The value of a key, or None."""
        return self.values.get(key)

    def keep(self, key: Key, value: Value) -> None:
        """Keep a value, in the place of the oldest ones where there are too many."""
        size = _bytes(key)
        if size > KEY_BYTES:
            return
        with self.lock:
            if key in self.values:
                return
            self.values[key] = value
            self.bytes += size
            while self.bytes > self.limit:
                oldest, _ = self.values.popitem(last=False)
                self.bytes -= _bytes(oldest)


def _bytes(key: Key) -> int:
    answer, truths = key
    return ENTRY_BYTES + sys.getsizeof(answer) + sum(map(sys.getsizeof, truths))
