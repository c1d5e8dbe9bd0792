"""What is odd in a profile that parses: each a warning that names the line, the reason, the remedy."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from processor.model import FINAL
from processor.provider import Kind, Profile
from processor.provider.locating import line_of
from processor.signing import Verify

HEADER = "header:"


class Odd(NamedTuple):
    """What is odd, and at which key of which table."""

    table: str
    key: str
    text: str


class Family(NamedTuple):
    """One kind's tables: the path before their names, as read and as written."""

    at: str  # `kinds.media.`, or nothing
    kind: Kind
    written: Mapping[str, Any]


Lint = Callable[[Profile, tuple[Family, ...]], Iterator[Odd]]


def warnings(profile: Profile, text: str, written: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Give the lines and what is odd there, in the order of the file."""
    families = tuple(
        Family(f"kinds.{name}." if name else "", kind, _tables(written, name))
        for name, kind in profile.kinds.items()
    )
    odd = [one for lint in LINTS for one in lint(profile, families)]
    return sorted((line_of(text, one.table, one.key), one.text) for one in odd)


def _tables(written: Mapping[str, Any], name: str | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = written["kinds"][name] if name else written
    return found


def undocumented(profile: Profile, _families: tuple[Family, ...]) -> Iterator[Odd]:
    """Nobody could look up later whether it still holds."""
    if not profile.docs:
        yield Odd("", "docs", "`docs` is missing; name where the provider documents all this")
    if not profile.checked:
        yield Odd("", "checked", "`checked` is missing; set it to the day when you looked it up")


def believed(profile: Profile, _families: tuple[Family, ...]) -> Iterator[Odd]:
    """Whoever knows the URL could finish a job."""
    if profile.push and not profile.verify and profile.push.trust == "event":
        yield Odd(
            "push",
            "trust",
            'pushes are not signed and yet believed; set `trust = "refetch"`, and put a token '
            'into the URL: [push.verify] with `scheme = "token"` and `query = "token"`',
        )


def unasked(profile: Profile, families: tuple[Family, ...]) -> Iterator[Odd]:
    """Nobody can confirm what is not believed."""
    if profile.push and profile.push.trust == "refetch" and not any(f.kind.poll for f in families):
        text = '`trust` is "refetch" and there is nobody to ask: pushes are believed; add a [poll]'
        yield Odd("push", "trust", text)


def replayable(profile: Profile, families: tuple[Family, ...]) -> Iterator[Odd]:
    """Whoever saw one push could send it again under another id."""
    rule = profile.verify
    if rule is None or rule.scheme == "token":  # the token's holder may say anything anyway
        return
    for family in families:
        for name in _headers(family.written.get("push", {}).get("event_id")):
            if name not in _signed(rule):
                text = f"`event_id` is in {name}, which the signature does not cover; leave it out"
                yield Odd(f"{family.at}push", "event_id", f"{text}, and the body's digest dedupes")


def _headers(places: object) -> list[str]:
    listed = places if isinstance(places, list) else [places]
    texts = [place for place in listed if isinstance(place, str) and place.startswith(HEADER)]
    return [place.removeprefix(HEADER).lower() for place in texts]


def _signed(rule: Verify) -> frozenset[str]:
    """The headers that a signature covers, in lower case."""
    if rule.scheme == "standard-webhooks":
        family = (rule.header or "webhook-signature").lower().removesuffix("signature")
        return frozenset({f"{family}id", f"{family}timestamp"})
    named = {hole.removeprefix(HEADER) for hole in rule.holes if hole.startswith(HEADER)}
    stamp = {rule.timestamp} if "timestamp" in rule.holes else set()
    return frozenset(name.lower() for name in named | stamp)


def unmapped(_profile: Profile, families: tuple[Family, ...]) -> Iterator[Odd]:
    """An update that is taken for the sake of its word, and then not understood."""
    for family in families:
        push = family.written.get("push", {})
        status = push.get("status")
        first = status[0] if isinstance(status, list) else status
        wanted = push.get("about", {}).get(first) if isinstance(first, str) else None
        for word in _words(wanted):
            if family.kind.states.of(word) is None:
                text = f"`{word}` is taken, but is not in [{family.at}states]; add it there"
                yield Odd(f"{family.at}push", "about", text)


def _words(wanted: object) -> list[str]:
    if wanted is None or isinstance(wanted, bool):
        return []
    return [str(word) for word in (wanted if isinstance(wanted, list) else [wanted])]


def unreachable(profile: Profile, _families: tuple[Family, ...]) -> Iterator[Odd]:
    """The first kind that an update is about takes it."""
    pushed = [(name, kind.push) for name, kind in profile.kinds.items() if kind.push]
    greedy = next((n for n, (_, told) in enumerate(pushed) if not told.about.rules), len(pushed))
    for name, _ in pushed[greedy + 1 :]:
        before = f"kinds.{pushed[greedy][0]}." if pushed[greedy][0] else ""
        text = f"nothing comes here: [{before}push] takes every push; give that an `about`"
        yield Odd(f"kinds.{name}.push", "", text)


def endless(_profile: Profile, families: tuple[Family, ...]) -> Iterator[Odd]:
    """Only the deadline would end such a job."""
    for family in families:
        states = family.kind.states
        if not FINAL.intersection((*states.words.values(), states.otherwise)):
            text = 'no word ends a job; map those that do, such as done = "succeeded"'
            yield Odd(f"{family.at}states", "", text)


LINTS: tuple[Lint, ...] = (
    undocumented,
    believed,
    unasked,
    replayable,
    unmapped,
    unreachable,
    endless,
)
