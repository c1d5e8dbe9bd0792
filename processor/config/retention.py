"""Retention: how long Redis keeps what, each from the environment and within its bounds.

The defaults are in `model.Retention`; what each one limits is in `store/keys.py`.
"""

from processor.config import checks
from processor.config.schema import Environment
from processor.durations import parse_duration
from processor.errors import ConfigError
from processor.model import Retention

BOUNDS = {
    "RINGBACK_KEEP_JOBS": ("5d", "3650d"),  # a callback's attempts take up to 4 days
    "RINGBACK_KEEP_EVENTS": ("1h", "7d"),  # arrived events are remembered for 8 days, for replays
    "RINGBACK_KEEP_DELIVERIES": ("1d", "365d"),
    "RINGBACK_KEEP_SEEN": ("1h", "3650d"),
}


def read_retention(env: Environment) -> Retention:
    """The retention that the environment sets; ConfigError for a value out of bounds."""
    found = Retention(
        jobs=_within("RINGBACK_KEEP_JOBS", env.RINGBACK_KEEP_JOBS),
        events=_within("RINGBACK_KEEP_EVENTS", env.RINGBACK_KEEP_EVENTS),
        events_count=env.RINGBACK_KEEP_EVENTS_COUNT,
        deliveries=_within("RINGBACK_KEEP_DELIVERIES", env.RINGBACK_KEEP_DELIVERIES),
        seen=_within("RINGBACK_KEEP_SEEN", env.RINGBACK_KEEP_SEEN),
        waiting=env.RINGBACK_KEEP_WAITING,
    )
    if found.seen > found.jobs:  # a late push would find its job gone, and not start a new one
        raise ConfigError(
            f"RINGBACK_KEEP_SEEN: {env.RINGBACK_KEEP_SEEN} is longer than RINGBACK_KEEP_JOBS, "
            f"{env.RINGBACK_KEEP_JOBS}; write at most that"
        )
    return found


def _within(name: str, text: str) -> float:
    least, most = map(parse_duration, BOUNDS[name])
    return checks.duration_within(name, text, least, most)
