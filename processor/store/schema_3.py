"""The step of the migration from schema 2 to 3: keys and fields get the names that the docs use.

Keys are renamed; in deliveries that wait, and in the records of those that ended, `why` becomes
`reason` and `turn` becomes `order`. An event that was published keeps its bytes, in the log and for
the deliveries that still carry it: a subscriber gets the same event however often it is delivered.
"""

from collections.abc import Sequence
from typing import Any

import structlog

from processor.store.connection import Connection
from processor.store.key_scan import pages, rename
from processor.store.keys import Keys

ALL_KEYS = "{rb:*}:*"
RECORDS = "{rb:*}:de[al]*"  # delivered:… and dead:…
ITEMS = 1000  # that one call changes
STREAMS = 20  # that one call writes again: each holds some thousands of records at most
NEW_WORDS = {
    "told": "delivered_ids",
    "turns": "order",
    "behind": "overflow",
    "health": "failure_scores",
    "again": "retries",
    "held": "claimed",
    "parked": "paused",
    "paced": "rate_limit",
    "stepped": "clock_step",
}
"""The first words of keys that are renamed."""

log = structlog.get_logger()


async def use_new_names(connection: Connection, shards: Sequence[Keys]) -> None:
    """2 → 3: rename keys, and fields of what they hold."""
    done = await rename(connection, ALL_KEYS, new_name)
    if done.taken:
        log.error("keys_not_renamed", keys=done.taken[:10], count=len(done.taken))
    for keys in shards:
        await _rename_in_items(connection, keys.items["deliver"])
    async for found in pages(connection, RECORDS):
        for keys in shards:
            streams = [key for key in found if key.startswith((keys.delivered(""), keys.dead("")))]
            await _rename_in_records(connection, streams)


def new_name(key: str) -> str | None:
    """The name that a key has from schema 3 on; None if it stays."""
    tag, _, rest = key.partition("}:")
    word, colon, more = rest.partition(":")
    return f"{tag}}}:{NEW_WORDS[word]}{colon}{more}" if word in NEW_WORDS else None


async def _rename_in_items(connection: Connection, items: str) -> None:
    cursor: Any = "0"
    while (cursor := await connection.run("migrate_items", [items], [cursor, ITEMS])) != b"0":
        pass


async def _rename_in_records(connection: Connection, streams: Sequence[str]) -> None:
    for start in range(0, len(streams), STREAMS):
        part = streams[start : start + STREAMS]
        await connection.run("migrate_records", [k for s in part for k in (s, f"{s}:new")], [])
