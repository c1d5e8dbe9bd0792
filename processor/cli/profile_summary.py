"""A profile as people and programs read it: what was understood, not what was written."""

from collections.abc import Iterator
from typing import Any

from processor.model import State
from processor.provider import JobKind, PollRules, Profile, mirror_template
from processor.provider.pointer import Pointer
from processor.provider.profile import WHOLE, UpdateFields
from processor.signing import Verify

UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "m"))


def facts(profile: Profile) -> dict[str, Any]:
    """Everything that decides, by its name; what a profile does not have is None."""
    rule, push, register = profile.verify, profile.push, profile.register
    return {
        "profile": profile.name,
        "docs": profile.docs or None,
        "checked": profile.checked.isoformat() if profile.checked else None,
        "inferred": profile.inferred or None,
        "base_url": profile.base_url,
        "push": pushes(profile),
        "signature": rule and (rule.header or rule.field or (rule.query and f"?{rule.query}=")),
        **_signed(rule),
        "trust": push and push.trust,
        "params": params(profile),
        "register": register and ("by hand" if register.paste else "by its API"),
        "kinds": {name or "": _kind(profile, kind) for name, kind in profile.kinds.items()},
    }


def rows(profile: Profile) -> Iterator[tuple[str, object]]:
    """The same in lines, without what is not there; those of a named kind begin with its name."""
    told = facts(profile)
    if told["params"]:
        told["params"] = f"{', '.join(told['params'])}: to be set on the source, or on each job"
    if profile.base_url is None and any(
        k.poll and k.poll.request.path for k in profile.kinds.values()
    ):
        told["base_url"] = "to be set on the source"
    for name, kind in told.pop("kinds").items():
        states = kind.pop("states")
        for word, value in {**kind, **states}.items():
            shown = _listed(value) if isinstance(value, dict) else value
            told[f"{name}: {word}" if name else word] = shown
    yield from ((name, value) for name, value in told.items() if value)


def pushes(profile: Profile) -> str | None:
    """How its pushes are signed, `unsigned`, or None where there are none."""
    if profile.push is None:
        return None
    return profile.scheme or "unsigned"


def polls(profile: Profile) -> str | None:
    """How often it is asked, over all kinds; None where it cannot be."""
    every = [kind.poll.every for kind in profile.kinds.values() if kind.poll]
    if not every:
        return None
    return f"every {span(min(f for f, _ in every))} to {span(max(last for _, last in every))}"


def params(profile: Profile) -> list[str]:
    """What a source's params must fill (or a job's, where only polls want it)."""
    asked = {
        placeholder
        for kind in profile.kinds.values()
        if kind.poll
        for placeholder in _placeholders(kind, kind.poll)
    }
    orders = profile.register.requests if profile.register else ()
    told = {placeholder for order in orders for placeholder in order.path.placeholders - {"hook"}}
    return sorted(asked | told)


def span(seconds: float) -> str:
    """Write a duration as a profile does: 500ms, 1.5s, 30s, 5m."""
    for size, unit in UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


def _placeholders(kind: JobKind, poll: PollRules) -> frozenset[str]:
    """What fills a poll's request, besides the id and what the provider itself tells of a job."""
    path, setting = poll.request.path, poll.request.setting
    return (
        (path.placeholders if path else frozenset({setting or ""}))
        - {"id"}
        - kind.params_from_provider
    )


def _signed(rule: Verify | None) -> dict[str, Any]:
    """How the signature is written and what it covers, where the profile says that."""
    names = ("format", "signs", "timestamp", "tolerance")
    if rule is None or rule.scheme == "token":
        return dict.fromkeys(names)
    timed = rule.pairs or rule.timestamp or not rule.is_custom
    return {
        "format": rule.format or None,
        "signs": rule.signs if rule.is_custom else None,
        "timestamp": rule.timestamp or None,
        "tolerance": span(float(rule.tolerance)) if timed else None,
    }


def _places(fields: UpdateFields | None) -> dict[str, str] | None:
    """Where the most important things lie."""
    if fields is None:
        return None
    progress, error = fields.progress, fields.error
    return {
        name: place
        for name, place in (
            ("id", fields.id and fields.id.text),
            ("status", fields.status and fields.status.text),
            ("progress", progress and f"{progress.at.text} of {_of(progress.of)}"),
            ("result", fields.result and fields.result.text),
            ("error code", error and error.code and error.code.text),
            ("error", error and error.message and error.message.text),
            ("time", fields.time and fields.time.text),
        )
        if place
    }


def _of(whole: object) -> str:
    return whole.text if isinstance(whole, Pointer) else f"{whole:g}"


def _listed(places: dict[str, str]) -> str:
    return ", ".join(f"{name} {place}" for name, place in places.items())


def _kind(profile: Profile, kind: JobKind) -> dict[str, Any]:
    told, poll, states = kind.push, kind.poll, kind.states
    words = {
        state.value: [word for word, ours in states.words.items() if ours is state]
        for state in State
    }
    if states.otherwise:
        words[states.otherwise.value].append("(all others)")
    template = mirror_template(profile, kind)
    return {
        "pushed": (list(told.matches.words) or ["all"]) if told else None,
        "deduped": (f"by {told.event_id.text}" if told.event_id else "by the body")
        if told
        else None,
        "push-places": _places(told),
        "asked": poll and poll.request.text,
        "auth": poll.auth.text if poll and poll.auth else None,
        "every": poll and " to ".join(map(span, poll.every)),
        "root": poll.root.text if poll and poll.root is not WHOLE else None,
        "poll-places": _places(poll),
        "submit-places": _places(kind.submit),
        "mirror": template.text if template else None,
        "states": {state: found for state, found in words.items() if found},
    }
