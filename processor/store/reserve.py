"""How much of Redis' memory the accepted work will still need, and how much more may be accepted.

Pure. A waiting update becomes a record, a history and an event in the log, which stay. If memory is
short, its deliveries stay in the log as overflow, so only what each leaves behind is reserved for
them. Prices are bytes of `used_memory`, measured with `python -m bench reserve` on Redis 8.2.3,
rounded up.
"""

from collections.abc import Callable

from processor.store.memory import MemoryUse, Waiting

FULL = 0.85  # the part of maxmemory that used and reserved memory may reach together
HELD_LEAVE = (
    0.1  # the part of maxmemory that held updates, which may wait for a day, leave for other work
)
POLLS_FULL = 0.95  # the part of maxmemory above which no job is polled

ACCEPTED = 900  # a waiting update and its dedupe mark, without its payload
HELD = 150  # a held update's place in the hold, and the name of its job
NAME = 150  # each other name of the job
UPDATE = (
    2_100  # what an update becomes: a record and its index, a line of history, an event in the log
)
ARRIVED = 400  # an event that one subscription got: the record of it, its id for replays
PAYLOAD = 1.3  # copies of an update's bytes, beside the one that waits
RECORD = 2.6  # copies of a record's bytes in its events, for each update
WAITING = 1_000  # how much a waiting delivery grows: the notes of nine failed attempts
TIMER = 1_500  # the end of a watched job: a line of history, an event in the log
WATCHED = 2_200  # a job that is watched: its record and index, its timers
GROUP = 1_000  # a group: its record and index, its timer
MEMBER = 500  # a member of a group: its row, the note in its job, its part of the event
TASK = 600  # a wait that is asked about later, with its end
PUT = 650  # a delivery that is enqueued
EVENT = 400  # an event while deliveries need it, without its body


def update_price(updates: int, size: int, subscriptions: int) -> int:
    """What a push needs until it is done: so many updates, of `size` bytes in all."""
    each = ACCEPTED + UPDATE + subscriptions * ARRIVED
    return int(updates * each + 2 * PAYLOAD * size)


def held_price(aliases: int) -> int:
    """What a push needs beside that while it is held."""
    return HELD + aliases * NAME


def watch_price(size: int, *, new: bool) -> int:
    """What a PUT needs that creates a record, or makes a record larger by `size` bytes."""
    return int((WATCHED + TIMER if new else 0) + (PAYLOAD + RECORD) * size)


def group_price(members: int, size: int = 0) -> int:
    """What a group needs, or new members of it: `size` are the bytes of its metadata."""
    return int(GROUP + members * MEMBER + RECORD * size)


def task_price(size: int) -> int:
    """What a wait needs that is asked about later: its record has `size` bytes."""
    return int(TASK + PAYLOAD * size)


def delivery_price(size: int) -> int:
    """What a delivery needs while it waits, with a body of `size` bytes."""
    return deliveries_price(1, size)


def deliveries_price(count: int, size: int) -> int:
    """What deliveries of one event need while they wait: its body is kept once."""
    return int(count * (PUT + WAITING) + EVENT + PAYLOAD * size)


def subscription_price(size: int) -> int:
    """What a subscription needs whose record has `size` bytes."""
    return int(ACCEPTED + PAYLOAD * size)


def reserve(use: MemoryUse, fan_out: Callable[[str], int]) -> int:
    """What all waiting work will still need; `fan_out` counts the subscriptions of a source."""
    updates = sum(_reserved(w, fan_out(source)) for source, w in use.waiting.items())
    deliveries = use.deliveries * WAITING + use.overflow * ARRIVED
    return updates + deliveries + use.timers * TIMER


def room(use: MemoryUse, reserved: int) -> int:
    """How many more bytes may be promised; below 0 if too many are."""
    return int(FULL * use.limit) - use.used - reserved


def _reserved(waiting: Waiting, subscriptions: int) -> int:
    each = UPDATE + subscriptions * ARRIVED
    return int(waiting.updates * each + PAYLOAD * waiting.size + RECORD * waiting.records)
