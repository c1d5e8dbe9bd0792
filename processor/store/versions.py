"""Version words for compare-and-set: random words, never a counter.

A counter repeats once Redis has lost its last writes (a crash, a restored backup, a promoted
replica): the next change brings it back to the number that another process still has, and a
commit that was decided on other data passes. A random word belongs to one content only.
"""

import random

NONE = "0"
"""The version before the first write: all such stores have the same content, nothing."""

RESERVED, HELD = "new-", "held-"
"""Before the uid of a job without a record: its updates wait for a worker, or for its registration."""


def new_version() -> str:
    """A word that no other change ever gets: 64 random bits.

    It is not a number, so that a process of schema 1, which reads numbers, fails on it. Nobody gains
    by guessing it, so the generator that the system seeded at the start is enough: asking the system
    each time costs 2 µs.
    """
    return f"v{random.getrandbits(64):016x}"
