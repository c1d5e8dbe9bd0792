"""What both baselines share to call back: ten subscriptions, the event's body, the signed POST.

`SUBSCRIPTIONS` is also what Ringback's own configuration is written from.
"""

import base64
import hmac
from datetime import UTC, datetime
from typing import NamedTuple

import aiohttp
import msgspec

from bench.contenders import standard

CALLBACK_KEY = bytes(range(32, 64))
CALLBACK_SECRET = "whsec_" + base64.b64encode(CALLBACK_KEY).decode()
KEYED = hmac.new(CALLBACK_KEY, digestmod="sha256")
COMPLETED = frozenset({"job.succeeded", "job.failed", "job.canceled", "job.expired"})
TYPES = {"running": "job.started", "succeeded": "job.succeeded", "failed": "job.failed"}
TYPES |= {"canceled": "job.canceled", "expired": "job.expired"}
CONNECTIONS = 100  # to subscribers, at a time
TIMEOUT = aiohttp.ClientTimeout(total=15)


class Subscription(msgspec.Struct, frozen=True):
    """Which events somebody wants."""

    name: str
    events: tuple[str, ...] = ("job.completed",)
    sources: tuple[str, ...] = ()


SUBSCRIPTIONS = (
    Subscription("match"),
    *(Subscription(f"canceled-{n}", events=("job.canceled",)) for n in range(3)),
    *(Subscription(f"bad-{n}", events=("job.failed", "job.expired")) for n in range(2)),
    *(Subscription(f"other-{n}", sources=("other",)) for n in range(4)),
)


class Data(msgspec.Struct):
    """The job as subscribers see it; the shape of Ringback's own events."""

    id: str
    sequence: int
    state: str
    previous_state: str | None
    status: str
    progress: float | None
    result: msgspec.Raw
    created_at: str
    started_at: str | None
    finished_at: str | None
    source: str = standard.SOURCE
    provider: str = "standard"
    kind: None = None
    aliases: tuple[str, ...] = ()
    attempt: int = 1
    partial: bool = False
    error: None = None
    metadata: dict[str, str] = {}
    origin: str = "push"


class Event(msgspec.Struct):
    """The body of a callback."""

    type: str
    timestamp: str
    data: Data


encode = msgspec.json.Encoder().encode


def iso(at: float) -> str:
    """Return a moment as an event shows it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


class JobLookup(NamedTuple):
    """What a store knew of a job as a push moved it."""

    previous: str = ""
    sequence: int = 1
    created: float = 0.0
    started: float = 0.0


NOTHING = JobLookup()


def event(push: standard.Push, now: float, known: JobLookup = NOTHING) -> Event:
    """Return the event of a push that moved a job."""
    data = Data(
        id=push.id,
        sequence=known.sequence,
        state=push.status,
        previous_state=known.previous or None,
        status=push.status,
        progress=push.progress,
        result=push.result,
        created_at=iso(known.created or now),
        started_at=iso(known.started) if known.started else None,
        finished_at=None if push.status == "running" else iso(now),
    )
    return Event(TYPES[push.status], iso(now), data)


def wants(subscription: Subscription, kind: str, source: str) -> bool:
    """Tell whether a subscription wants events of this type from this source."""
    if subscription.sources and source not in subscription.sources:
        return False
    events = subscription.events
    return kind in events or ("job.completed" in events and kind in COMPLETED)


def matching(state: str, source: str) -> list[Subscription]:
    """Return the subscriptions that want to hear of a job's new state."""
    kind = TYPES[state]
    return [one for one in SUBSCRIPTIONS if wants(one, kind, source)]


def headers(event_id: str, body: bytes, now: float) -> dict[str, str]:
    """Return the head of a callback, signed as Standard Webhooks 1.0.0 asks."""
    at = b"%d" % now
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": at.decode(),
        "webhook-signature": standard.signature(KEYED, event_id.encode(), at, body).decode(),
    }


def session() -> aiohttp.ClientSession:
    """Return the one session that a process calls back with."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    return aiohttp.ClientSession(
        connector=connector, timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()
    )


async def post(
    http: aiohttp.ClientSession, url: str, event_id: str, body: bytes, now: float
) -> bool:
    """Call back once; return whether the answer was 2xx."""
    try:
        async with http.post(
            url, data=body, headers=headers(event_id, body, now), allow_redirects=False
        ) as answer:
            return 200 <= answer.status < 300
    except (aiohttp.ClientError, TimeoutError):
        return False
