"""Version words for compare-and-set: drawn at random, never counted.

A counter repeats once Redis has lost its last writes (a crash, a restored backup, a promoted
replica): the next change brings it back to the number that another process still holds, and a
commit that was decided on other data passes. A drawn word stands for one content for ever.
"""

import secrets

NONE = "0"
"""The version of what was never written: every such store has the same content, nothing."""


def new_version() -> str:
    """A word that no other change ever gets: 64 random bits.

    It is not a number: a process of schema 1, which reads numbers, stops at it.
    """
    return "v" + secrets.token_hex(8)
