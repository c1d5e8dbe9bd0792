"""The listeners' bench as Markdown tables."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench import report
from bench.load import latency


class Cost(NamedTuple):
    """What one run showed; of processor time, only the web process'."""

    opened: float  # seconds until all were open
    memory: float  # KiB more than before they came
    idle: float  # percent of a core
    redis: float  # percent of a core that Redis took meanwhile
    connected: tuple[int, int]  # to Redis: all, and those that follow the event log
    took: list[float]  # milliseconds from each push to its 202, sorted
    delays: list[float]  # milliseconds from a 202 to each listener, sorted
    steady: float  # processor seconds of the steady load
    burst: float  # processor seconds of the burst
    last: float  # seconds from its first push until all listeners had all of it


Runs = Mapping[int, Sequence[Cost]]


def extra(found: Runs, count: int, figure: str, events: int) -> list[float]:
    """Return the µs of processor time that an event costs for each listener."""
    return [
        1e6 * (getattr(one, figure) - getattr(none, figure)) / (events * count)
        for one, none in zip(found[count], found[0], strict=True)
    ]


def slower(found: Runs, count: int, share: float) -> list[float]:
    """Return how many times longer pushes took than without listeners, round by round."""
    return [
        latency.percentile(one.took, share) / latency.percentile(none.took, share)
        for one, none in zip(found[count], found[0], strict=True)
    ]


def idle_table(found: Runs) -> str:
    """Return what they cost while there are no events."""
    rows = [
        (
            f"{count:,}",
            report.spread([one.opened for one in done if count], ".2f"),
            report.spread([one.memory / count for one in done if count], ".1f"),
            report.spread([one.idle for one in done], ".2f"),
            report.spread([one.redis for one in done], ".2f"),
            *(report.spread([one.connected[n] for one in done], ".0f") for n in (0, 1)),
        )
        for count, done in found.items()
    ]
    head = ("idle listeners", "opened in, s", "KiB each", "% of a core", "% of a core, Redis")
    return report.table((*head, "connected to Redis", "following"), rows)


def events_table(found: Runs, events: int, burst: int) -> str:
    """Return what their events cost, the listeners and those who push."""
    rows = [
        (
            f"{count:,}",
            *(
                report.spread([latency.percentile(one.delays, s) for one in done if count], ".1f")
                for s in (0.5, 0.99)
            ),
            report.spread(extra(found, count, "steady", events) if count else [], ".1f"),
            report.spread([1000 * one.last for one in done if count], ",.0f"),
            report.spread(extra(found, count, "burst", burst) if count else [], ".1f"),
            *(
                report.spread([latency.percentile(one.took, s) for one in done], ".1f")
                for s in (0.5, 0.99)
            ),
            *(report.spread(slower(found, count, s), ".2f") for s in (0.5, 0.99)),
        )
        for count, done in found.items()
    ]
    head = ("listeners", "202 → event, ms: p50", "p99", "µs an event and listener")
    more = (f"burst of {burst}, ms until all had it", "µs an event and listener")
    pushes = ("push → 202, ms: p50", "p99", "p50 / none", "p99 / none")
    return report.table((*head, *more, *pushes), rows)


def tables(found: Runs, events: int, burst: int) -> list[str]:
    """Return every table."""
    return [idle_table(found), events_table(found, events, burst)]
