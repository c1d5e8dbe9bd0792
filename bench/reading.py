"""Section: what it costs to read a push, beside checking its signature.

Every captured push of every provider is read through its profile, from bytes to updates: decoded
and extracted. Beside it, in the same run: decoding its JSON alone, and checking a signature over
it where we can make one. The last lines measure one provider alone and among all others.
"""

import statistics
import timeit
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench import report
from bench.report import Result
from bench.runner import Runner
from processor import json_input, provider, signing
from processor.config.profiles import ProfileRegistry
from processor.errors import Unreadable
from processor.model import Push
from processor.provider import Profile

CAPTURES = Path(__file__).parents[1] / "tests" / "providers"
CALLS = 2000  # of a round
NOW = 1_795_346_400.0
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Row(NamedTuple):
    """One captured push: seconds for reading it, for its JSON alone, for its signature."""

    name: str
    size: int
    updates: int
    reading: float
    json: float
    signature: float | None


def captured() -> Iterator[tuple[str, dict[str, Any], bytes]]:
    """Every push that says something, with its name."""
    for file in sorted(CAPTURES.glob("*/*.toml")):
        capture = tomllib.loads(file.read_text())
        if capture["what"] == "push" and capture.get("updates"):
            name = f"{file.parent.name}/{file.stem}"
            yield name, capture, file.with_suffix(".json").read_bytes()


def best(call: Callable[[], object], number: int) -> float:
    """Seconds a call, by the quietest of five rounds."""
    return min(timeit.repeat(call, number=number, repeat=5)) / number


def timed(profile: Profile, name: str, capture: dict[str, Any], body: bytes, number: int) -> Row:
    """Time one push."""
    push = Push(capture["headers"], body)
    json: Callable[[], object] = lambda: json_input.read_json(body)  # noqa: E731
    try:
        json()
    except Unreadable:  # a form
        json = bool
    return Row(
        name,
        len(body),
        len(capture["updates"]),
        best(lambda: provider.read_push(profile, "bench", push, NOW), number),
        best(json, number),
        signature(profile, push, number),
    )


def signature(profile: Profile, push: Push, number: int) -> float | None:
    """Time the check of a signature over it; None where only the provider can make one."""
    rule = profile.verify
    if rule is None or rule.field or not signing.needs_secret(rule):
        return None
    made = signing.sign_as_provider(rule, SECRET, push.body, NOW, "msg_1")
    headers = {name.lower(): value for name, value in made["headers"].items()}
    signed = Push({**push.headers, **headers}, push.body, made["query"])
    keys = [signing.secret_key(rule, SECRET)]
    return best(lambda: signing.verify(rule, keys, signed, NOW), number)


def micro(seconds: float | None) -> str:
    """Microseconds, for people."""
    return "-" if seconds is None else f"{seconds * 1e6:.1f}"


async def measure(runner: Runner) -> Result:
    """Time every captured push."""
    number = runner.size(CALLS)
    registry = ProfileRegistry()
    alone = {"wistia": registry["wistia"]}
    (name, capture, body) = next(c for c in captured() if c[0].startswith("wistia/"))
    first = timed(alone["wistia"], name, capture, body, number)
    rows = [timed(registry[c[0].partition("/")[0]], *c, number) for c in captured()]
    last = timed(registry["wistia"], name, capture, body, number)
    rows.sort(key=lambda row: row.reading / row.updates, reverse=True)
    head = ("push", "bytes", "updates", "µs to read", "of it JSON", "µs for the signature")
    table = report.table(head, [_line(row) for row in [*rows[:8], rows[len(rows) // 2], rows[-1]]])
    each = [row.reading / row.updates for row in rows]
    line = (
        f"{len(rows)} pushes of {len({r.name.partition('/')[0] for r in rows})} providers: "
        f"{micro(statistics.median(each))} µs an update (median), {micro(max(each))} at most. "
        f"{name} with one profile read: {micro(first.reading)} µs, with all: {micro(last.reading)}"
    )
    return Result([table, line], [], [row._asdict() for row in rows])


def _line(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        str(row.size),
        str(row.updates),
        micro(row.reading),
        micro(row.json),
        micro(row.signature),
    )
