"""How much of Redis' memory the accepted work will still take, and what more may be taken.

Pure. An update that waits becomes a record, a history and an event in the log, which stay; its
deliveries wait in the log too where memory is short, so only what stays is reserved for. Prices are
bytes of `used_memory`, measured with `python bench/reserve.py` on Redis 8.2.3, rounded up.
"""

from collections.abc import Callable

from processor.store.memory import MemoryUse, Waiting

FULL = 0.85  # the part of maxmemory that used and reserved memory may reach together
POLLS_FULL = 0.95  # the part of it above which no poll brings more

ACCEPTED = 900  # an update that waits, and its dedupe mark, beside its payload
UPDATE = 2_000  # what it becomes: a record and its index, a line of history, an event in the log
ARRIVED = 200  # that an event arrived at one subscription: a record of it, its id for replays
PAYLOAD = 1.3  # how often an update's bytes are kept once more than while it waits
RECORD = 2.6  # how often a record's bytes are written into events of it, for each update
WAITING = 1_000  # what a delivery that waits grows by: notes of nine failed attempts
TIMER = 1_500  # the end of a watched job: a line of history, an event in the log
WATCHED = 2_200  # a job that is watched: its record and index, its timers
PUT = 600  # a delivery that is made
EVENT = 400  # an event that has deliveries to make, beside its body


def update_price(updates: int, size: int, subscriptions: int) -> int:
    """What a push takes until it is worked off: so many updates, `size` bytes in all."""
    each = ACCEPTED + UPDATE + subscriptions * ARRIVED
    return int(updates * each + 2 * PAYLOAD * size)


def watch_price(size: int, *, new: bool) -> int:
    """What a PUT takes that makes a record, or makes one larger by so many bytes."""
    return int((WATCHED + TIMER if new else 0) + (PAYLOAD + RECORD) * size)


def delivery_price(size: int) -> int:
    """What a delivery takes while it waits, with a body of so many bytes."""
    return deliveries_price(1, size)


def deliveries_price(count: int, size: int) -> int:
    """What deliveries of one event take while they wait: its body is kept once."""
    return int(count * (PUT + WAITING) + EVENT + PAYLOAD * size)


def subscription_price(size: int) -> int:
    """What a subscription takes whose record has so many bytes."""
    return int(ACCEPTED + PAYLOAD * size)


def reserve(use: MemoryUse, fan_out: Callable[[str], int]) -> int:
    """What all that waits will still take; `fan_out` says how many subscriptions hear a source."""
    updates = sum(_reserved(w, fan_out(source)) for source, w in use.waiting.items())
    return updates + use.deliveries * WAITING + use.timers * TIMER


def room(use: MemoryUse, reserved: int) -> int:
    """How many bytes more may be promised; below 0 where too many are."""
    return int(FULL * use.limit) - use.used - reserved


def _reserved(waiting: Waiting, subscriptions: int) -> int:
    each = UPDATE + subscriptions * ARRIVED
    return int(waiting.updates * each + PAYLOAD * waiting.size + RECORD * waiting.records)
