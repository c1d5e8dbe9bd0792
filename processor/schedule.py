"""The retry schedule of deliveries, poll intervals, circuit breaker thresholds: pure functions."""

from processor.http_time import MAX_RETRY_AFTER

RETRY_DELAYS = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before attempt 1, 2, … of a delivery: the Standard Webhooks 1.0.0 example,
ten attempts over 75 hours."""

RETRY_JITTER = 0.2  # either way

LATENESS = 0.02  # a poll finds a job at most this part of its age late
POLL_JITTER = 0.1  # only ever earlier, so that a profile's `first` is a promise
FAILURE_PAUSE = 5.0  # seconds after a poll's first failure; doubles
MAX_FAILURE_PAUSE = 300.0
STALLED_AFTER = 5  # polls of a job that fail in a row …
STALLED_SECONDS = 600.0  # … or so long, with two failed polls at least, and polling is stalled
GONE_AFTER = 60.0  # seconds of failed polls until a 404 is believed: longer than a proxy's restart

MAX_WAITED = 1_000  # jobs of a source without a budget, in a shard
MAX_AHEAD = 32  # the same with one, in all shards: half of the polls that it may have in flight

THROTTLED_PAUSE = 30.0  # seconds a source rests after a 429 without Retry-After
UNAUTHORIZED_PAUSE = 60.0  # seconds a source rests after a 401 or 403

UNKNOWN_PAUSE, MAX_UNKNOWN_PAUSE = 1.0, 60.0  # seconds for work that needs another configuration


def next_attempt(
    attempts_made: int, now: float, random_unit: float, retry_after: float | None
) -> float | None:
    """When to make a delivery's next attempt, or None when the schedule is used up.

    `attempts_made` attempts have been made; `random_unit` is a random number in [0, 1).
    """
    if attempts_made >= len(RETRY_DELAYS):
        return None
    pause = RETRY_DELAYS[attempts_made] * (1 - RETRY_JITTER + 2 * RETRY_JITTER * random_unit)
    requested = min(retry_after or 0.0, MAX_RETRY_AFTER)
    return now + max(pause, requested)


def poll_interval(age: float, every: tuple[float, float], random_unit: float) -> float:
    """Seconds until a job of this age is asked about again: `every` is (first, longest).

    The interval grows with the age, so that a young job is found fast and an old one costs
    little: 1.5 s stays 1.5 s for 75 s, and reaches 10 s after eight minutes.
    """
    first, longest = every
    return max(first, min(longest, age * LATENESS)) * (1 - POLL_JITTER * random_unit)


def poll_pause(failures: int, interval: float, retry_after: float | None) -> float:
    """Seconds until the next poll of a job whose last `failures` polls brought nothing.

    A longer Retry-After does not count: one error must not cost a job its result.
    """
    pause = min(FAILURE_PAUSE * 2.0 ** min(failures - 1, 10), MAX_FAILURE_PAUSE)
    return max(pause, interval, min(retry_after or 0.0, MAX_FAILURE_PAUSE))


def is_stalled(failures: int, since: float, now: float) -> bool:
    """Whether a job's last `failures` polls, the first of them at `since`, are reason for an alarm."""
    return failures >= STALLED_AFTER or now - since >= STALLED_SECONDS


def source_pause(trouble: str, retry_after: float | None) -> float | None:
    """Seconds that a whole source rests after a refused poll, or None when it goes on."""
    if trouble == "throttled":
        return THROTTLED_PAUSE if retry_after is None else max(retry_after, 1.0)
    return {"unauthorized": UNAUTHORIZED_PAUSE, "outdated": 0.0}.get(trouble)


def refused_poll_pause(interval: float) -> float:
    """Seconds until the next poll of a job whose poll was refused: its source's pause, and then some,
    so that others go first. The provider may refuse this job only.
    """
    return UNAUTHORIZED_PAUSE + min(interval, UNAUTHORIZED_PAUSE)


def unknown_pause(age: float) -> float:
    """Seconds until work is tried again whose source or subscription this process does not know.

    The process that knows it may have started just now, with a newer configuration than ours: so
    work that came `age` seconds ago waits half as long again at most. Old work is tried each minute.
    """
    return min(max(age / 2, UNKNOWN_PAUSE), MAX_UNKNOWN_PAUSE)


def waited_polls(budget: tuple[int, float] | None, floor: float, shards: int) -> tuple[float, int]:
    """For jobs that somebody waits for: at least how many seconds lie between two polls, and how many
    such jobs of a source a shard may have.

    So they take at most half of the budget, and no other job starves.
    """
    if budget is None:
        return floor, MAX_WAITED
    count, seconds = budget
    each = 2 * shards * seconds / count  # seconds for a request of a shard's part of that half
    floor = max(floor, each)
    return floor, min(int(floor / each), shard_part(MAX_AHEAD, shards))


def shard_part(whole: int, shards: int) -> int:
    """One shard's part of a number that all shards may have together: at least one."""
    return max(whole // shards, 1)


MAX_FAILURE_SCORE = 10
PAUSE_FROM_SCORE = 5  # from this score on a subscriber is paused after each failure
BREAKER_PAUSE = 5.0  # seconds of the first pause; each further point of the score doubles it
THROTTLED = frozenset({429, 502, 503, 504})  # Standard Webhooks: slow down
MAX_THROTTLE_PAUSE = 3_600.0  # seconds for which one response can pause the whole subscriber

DISABLE_AFTER = 5 * 86_400.0  # seconds of consecutive failures …
DISABLE_ATTEMPTS = 20  # … and at least so many of them


def subscriber_pause(
    failure_score: int, status: int | None, retry_after: float | None
) -> float | None:
    """Seconds for which a subscriber is paused after a failed attempt; None if it is not.

    This pause is the open circuit breaker; its half-open probe is the one attempt that a subscriber with
    a high failure score gets afterwards (`capacity`).
    """
    pause = (
        BREAKER_PAUSE * 2.0 ** (failure_score - PAUSE_FROM_SCORE)
        if failure_score >= PAUSE_FROM_SCORE
        else 0.0
    )
    requested = min(retry_after or 0.0, MAX_THROTTLE_PAUSE) if status in THROTTLED else 0.0
    return max(pause, requested) or None


def capacity(most: int, failure_score: int) -> int:
    """How many attempts a subscriber gets at once: half for each point of the score, at least one.

    Since a success halves the score, the capacity comes back in steps: one, then some, then all.
    """
    return max(most >> failure_score, 1)


def should_disable(since: float, failures: int, now: float) -> bool:
    """Whether a subscriber has only failed for so long that it is disabled."""
    return failures >= DISABLE_ATTEMPTS and now - since >= DISABLE_AFTER
