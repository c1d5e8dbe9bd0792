"""Warnings about a profile that parses: each names the line, the reason and the remedy."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

from processor.model import FINAL, State
from processor.provider import JobKind, Profile
from processor.provider.toml_lines import line_of
from processor.signing import Verify

HEADER = "header:"


class LintWarning(NamedTuple):
    """What may be wrong, and at which key of which table."""

    table: str
    key: str
    text: str


class KindTables(NamedTuple):
    """The tables of one kind: the path before their names, the parsed kind, and the TOML."""

    path: str  # `kinds.media.`, or empty
    kind: JobKind
    toml: Mapping[str, Any]


Lint = Callable[[Profile, tuple[KindTables, ...]], Iterator[LintWarning]]


def warnings(
    profile: Profile, text: str, toml: Mapping[str, Any], today: date
) -> list[tuple[int, str]]:
    """Line number and text of each warning, in the order of the file."""
    kinds = tuple(
        KindTables(f"kinds.{name}." if name else "", kind, toml["kinds"][name] if name else toml)
        for name, kind in profile.kinds.items()
    )
    found = [warning for lint in LINTS for warning in lint(profile, kinds)]
    if profile.checked and profile.checked > today:
        future = f"`checked` is after today, {today}; set it to the day of your last check"
        found.append(LintWarning("", "checked", future))
    return sorted((line_of(text, warning.table, warning.key), warning.text) for warning in found)


def undocumented(profile: Profile, _kinds: tuple[KindTables, ...]) -> Iterator[LintWarning]:
    """Without these, nobody can check later whether the profile is still right."""
    if not profile.docs:
        yield LintWarning("", "docs", "`docs` is missing; name the provider's documentation")
    if not profile.checked:
        yield LintWarning("", "checked", "`checked` is missing; set it to the day of your check")


def insecure_base_url(profile: Profile, _kinds: tuple[KindTables, ...]) -> Iterator[LintWarning]:
    """On plain http, others can read the token and forge the answers."""
    if profile.base_url and profile.base_url.startswith("http://"):
        text = "`base_url` is plain http; write https://, and set http on the sources that need it"
        yield LintWarning("", "base_url", text)


def unsigned_push(profile: Profile, kinds: tuple[KindTables, ...]) -> Iterator[LintWarning]:
    """Anybody who knows the URL could end a job, or have it polled."""
    if profile.push is None or profile.verify:
        return
    remedy = 'put a token into the URL: [push.verify] with `scheme = "token"` and `query = "token"`'
    if not any(tables.kind.poll for tables in kinds):
        text = "pushes are not signed, and are trusted, since no poll confirms them; add a [poll]"
        yield LintWarning("push", "", f"{text}, and {remedy}")
    else:
        text = "pushes are not signed: anybody can cause polls"
        yield LintWarning("push", "", f"{text}; {remedy}")


def unconfirmable(profile: Profile, kinds: tuple[KindTables, ...]) -> Iterator[LintWarning]:
    """Pushes that must be confirmed by a poll need a poll."""
    polled = any(tables.kind.poll for tables in kinds)
    if profile.push and profile.push.trust == "refetch" and not polled:
        text = '`trust` is "refetch" without a [poll], so pushes are trusted; add a [poll]'
        yield LintWarning("push", "trust", text)


def missing_separator(profile: Profile, _kinds: tuple[KindTables, ...]) -> Iterator[LintWarning]:
    """The text before a signature usually ends in a separator: `v1=`, `sha256=`, a blank."""
    rule = profile.verify
    if rule and rule.format and not rule.pairs and rule.format[-1].isalnum():
        text = f'`format` is the text before the signature: "{rule.format}" without a separator'
        text += f'; if the header has "{rule.format}=", write that, else no push verifies'
        yield LintWarning("push.verify", "format", text)


def replayable(profile: Profile, kinds: tuple[KindTables, ...]) -> Iterator[LintWarning]:
    """Anybody who saw one push could send it again under another id."""
    ways = profile.verify.alternatives if profile.verify else ()
    # A token covers nothing: its holder may send anything.
    signed = [_signed_headers(way) for way in ways if way.scheme != "token"]
    for tables in kinds:
        for name in _headers(tables.toml.get("push", {}).get("event_id")):
            if any(name not in covered for covered in signed):
                text = f"`event_id` is in {name}, which the signature does not cover; leave it out"
                text += ", and the body's digest dedupes"
                yield LintWarning(f"{tables.path}push", "event_id", text)


def _headers(pointers: object) -> list[str]:
    listed = pointers if isinstance(pointers, list) else [pointers]
    texts = [text for text in listed if isinstance(text, str) and text.startswith(HEADER)]
    return [text.removeprefix(HEADER).lower() for text in texts]


def _signed_headers(rule: Verify) -> frozenset[str]:
    """The headers that a signature covers, in lower case."""
    if rule.scheme == "standard-webhooks":
        prefix = (rule.header or "webhook-signature").lower().removesuffix("signature")
        return frozenset({f"{prefix}id", f"{prefix}timestamp"})
    named = {
        placeholder.removeprefix(HEADER)
        for placeholder in rule.placeholders
        if placeholder.startswith(HEADER)
    }
    timestamp = {rule.timestamp} if "timestamp" in rule.placeholders else set()
    return frozenset(name.lower() for name in named | timestamp)


def unmapped(_profile: Profile, kinds: tuple[KindTables, ...]) -> Iterator[LintWarning]:
    """A push that is accepted because of its status word needs that word in the states."""
    for tables in kinds:
        push = tables.toml.get("push", {})
        status = push.get("status")
        first = status[0] if isinstance(status, list) else status
        wanted = push.get("about", {}).get(first) if isinstance(first, str) else None
        for word in _words(wanted):
            if tables.kind.states.of(word) is None:
                text = f"`{word}` is accepted, but is not in [{tables.path}states]; add it there"
                yield LintWarning(f"{tables.path}push", "about", text)


def _words(wanted: object) -> list[str]:
    if wanted is None or isinstance(wanted, bool):
        return []
    return [str(word) for word in (wanted if isinstance(wanted, list) else [wanted])]


def unreachable(profile: Profile, _kinds: tuple[KindTables, ...]) -> Iterator[LintWarning]:
    """A push belongs to the first kind that matches."""
    pushed = [(name, kind.push) for name, kind in profile.kinds.items() if kind.push]
    greedy = next((n for n, (_, push) in enumerate(pushed) if not push.matches.rules), len(pushed))
    for name, _ in pushed[greedy + 1 :]:
        path = f"kinds.{pushed[greedy][0]}." if pushed[greedy][0] else ""
        text = f"no push gets here: [{path}push] matches every push; give that an `about`"
        yield LintWarning(f"kinds.{name}.push", "", text)


def no_final_state(_profile: Profile, kinds: tuple[KindTables, ...]) -> Iterator[LintWarning]:
    """Only the deadline would end such a job."""
    for tables in kinds:
        states = tables.kind.states
        if not FINAL.intersection((*states.words.values(), states.otherwise)):
            text = 'no word ends a job; map the words that do, such as done = "succeeded"'
            yield LintWarning(f"{tables.path}states", "", text)
        elif State.SUCCEEDED not in (*states.words.values(), states.otherwise):
            text = 'no word means that a job succeeded; map it, such as done = "succeeded"'
            yield LintWarning(f"{tables.path}states", "", text)


def paste_without_url(profile: Profile, _kinds: tuple[KindTables, ...]) -> Iterator[LintWarning]:
    """Instructions to paste by hand must hold the URL."""
    if profile.register and profile.register.paste and "{url}" not in profile.register.paste:
        text = "`paste` lacks `{url}`, the URL for pushes; add it"
        yield LintWarning("register", "paste", text)


LINTS: tuple[Lint, ...] = (
    undocumented,
    insecure_base_url,
    unsigned_push,
    unconfirmable,
    missing_separator,
    replayable,
    unmapped,
    unreachable,
    no_final_state,
    paste_without_url,
)
