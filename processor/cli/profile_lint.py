"""What is odd in a profile that parses: each a warning that names the line, the reason, the remedy."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

from processor.model import FINAL, State
from processor.provider import JobKind, Profile
from processor.provider.toml_lines import line_of
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
    kind: JobKind
    written: Mapping[str, Any]


Lint = Callable[[Profile, tuple[Family, ...]], Iterator[Odd]]


def warnings(
    profile: Profile, text: str, written: Mapping[str, Any], today: date
) -> list[tuple[int, str]]:
    """Give the lines and what is odd there, in the order of the file."""
    families = tuple(
        Family(f"kinds.{name}." if name else "", kind, _tables(written, name))
        for name, kind in profile.kinds.items()
    )
    odd = [one for lint in LINTS for one in lint(profile, families)]
    if profile.checked and profile.checked > today:
        late = f"`checked` is after today, {today}; set it to the day when you looked it up"
        odd.append(Odd("", "checked", late))
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


def overheard(profile: Profile, _families: tuple[Family, ...]) -> Iterator[Odd]:
    """Whoever listens on the way could read the token, and write the answers."""
    if profile.base_url and profile.base_url.startswith("http://"):
        text = "`base_url` is plain http; write https://, and let the sources that need http say so"
        yield Odd("", "base_url", text)


def believed(profile: Profile, _families: tuple[Family, ...]) -> Iterator[Odd]:
    """Whoever knows the URL could finish a job."""
    if profile.push is None or profile.verify:
        return
    remedy = 'put a token into the URL: [push.verify] with `scheme = "token"` and `query = "token"`'
    if profile.push.trust == "event":
        text = 'pushes are not signed and yet believed; set `trust = "refetch"`'
        yield Odd("push", "trust", f"{text}, and {remedy}")
    else:
        yield Odd("push", "", f"pushes are not signed: anybody may have jobs asked about; {remedy}")


def unasked(profile: Profile, families: tuple[Family, ...]) -> Iterator[Odd]:
    """Nobody can confirm what is not believed."""
    if profile.push and profile.push.trust == "refetch" and not any(f.kind.poll for f in families):
        text = '`trust` is "refetch" and there is nobody to ask: pushes are believed; add a [poll]'
        yield Odd("push", "trust", text)


def unmarked(profile: Profile, _families: tuple[Family, ...]) -> Iterator[Odd]:
    """What stands before a signature ends in a sign: `v1=`, `sha256=`, a blank."""
    rule = profile.verify
    if rule and rule.format and not rule.pairs and rule.format[-1].isalnum():
        text = f'`format` is what stands before the signature: "{rule.format}" with nothing between'
        text += f'; write "{rule.format}=" if that is there, else no push would verify'
        yield Odd("push.verify", "format", text)


def replayable(profile: Profile, families: tuple[Family, ...]) -> Iterator[Odd]:
    """Whoever saw one push could send it again under another id."""
    ways = profile.verify.alternatives if profile.verify else ()
    signed = [_signed(way) for way in ways if way.scheme != "token"]  # whose holder may say all
    for family in families:
        for name in _headers(family.written.get("push", {}).get("event_id")):
            if any(name not in covered for covered in signed):
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
    named = {
        placeholder.removeprefix(HEADER)
        for placeholder in rule.placeholders
        if placeholder.startswith(HEADER)
    }
    stamp = {rule.timestamp} if "timestamp" in rule.placeholders else set()
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
    greedy = next((n for n, (_, told) in enumerate(pushed) if not told.matches.rules), len(pushed))
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
        elif State.SUCCEEDED not in (*states.words.values(), states.otherwise):
            text = 'no word means that a job succeeded; map it, such as done = "succeeded"'
            yield Odd(f"{family.at}states", "", text)


def nowhere(profile: Profile, _families: tuple[Family, ...]) -> Iterator[Odd]:
    """Who pastes by hand must be told what."""
    if profile.register and profile.register.paste and "{url}" not in profile.register.paste:
        yield Odd("register", "paste", "`paste` lacks `{url}`, where pushes go; put it in")


LINTS: tuple[Lint, ...] = (
    undocumented,
    overheard,
    believed,
    unasked,
    unmarked,
    replayable,
    unmapped,
    unreachable,
    endless,
    nowhere,
)
