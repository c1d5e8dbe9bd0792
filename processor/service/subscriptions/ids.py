"""Ids of subscriptions: of those that callers create, and of those in the configuration file."""

import re
import secrets

RELOAD = 600.0  # seconds in which all processes have read a file that was changed

_CREATED = re.compile("sub_[0-9a-f]{16}")


def new_id() -> str:
    """The id of a subscription that a caller creates; those of the file are `sub_NAME`."""
    return f"sub_{secrets.token_hex(8)}"


def may_be_new(target: str, since: float, now: float) -> bool:
    """Whether a target that we do not know, with work since then, may stand in a newer file than ours.

    During a reload processes read the file one after the other, and each claims what all commit.
    """
    in_file = target.startswith("sub_") and not _CREATED.fullmatch(target)
    return in_file and now - since < RELOAD
