"""A summary of a parsed profile, as text or JSON: what was understood, not what was written."""

from collections.abc import Iterator
from typing import Any

from processor.model import State
from processor.provider import JobKind, PollRules, Profile, mirror_template
from processor.provider.pointer import Pointer
from processor.provider.profile import WHOLE, UpdateFields
from processor.signing import Verify

UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "m"))


def facts(profile: Profile) -> dict[str, Any]:
    """All settings by name; None if the profile does not have a setting."""
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
    """The same as rows, without None; rows of a named kind begin with its name."""
    found = facts(profile)
    if found["params"]:
        found["params"] = f"{', '.join(found['params'])}: to be set on the source, or on each job"
    if profile.base_url is None and any(
        k.poll and k.poll.request.path for k in profile.kinds.values()
    ):
        found["base_url"] = "to be set on the source"
    for name, kind in found.pop("kinds").items():
        states = kind.pop("states")
        for word, value in {**kind, **states}.items():
            shown = _listed(value) if isinstance(value, dict) else value
            found[f"{name}: {word}" if name else word] = shown
    yield from ((name, value) for name, value in found.items() if value)


def pushes(profile: Profile) -> str | None:
    """How pushes are signed, or `unsigned`; None if the provider does not push."""
    if profile.push is None:
        return None
    return profile.scheme or "unsigned"


def polls(profile: Profile) -> str | None:
    """How often jobs of all kinds are polled; None if they cannot be polled."""
    every = [kind.poll.every for kind in profile.kinds.values() if kind.poll]
    if not every:
        return None
    return f"every {span(min(f for f, _ in every))} to {span(max(last for _, last in every))}"


def params(profile: Profile) -> list[str]:
    """The params that a source must set, or a job if only polls use them."""
    polled = (_placeholders(kind, kind.poll) for kind in profile.kinds.values() if kind.poll)
    requests = profile.register.requests if profile.register else ()
    registration = (request.path.placeholders - {"hook"} for request in requests)
    return sorted(frozenset().union(*polled, *registration))


def span(seconds: float) -> str:
    """A duration as profiles write it: 500ms, 1.5s, 30s, 5m."""
    for size, unit in UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


def _placeholders(kind: JobKind, poll: PollRules) -> frozenset[str]:
    """The placeholders of a poll's request that neither the id nor the provider fills."""
    path, setting = poll.request.path, poll.request.setting
    return (
        (path.placeholders if path else frozenset({setting or ""}))
        - {"id"}
        - kind.params_from_provider
    )


def _signed(rule: Verify | None) -> dict[str, Any]:
    """The form of the signature and what it covers, if the profile says so."""
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


def _pointers(fields: UpdateFields | None) -> dict[str, str] | None:
    """The JSON pointers of the most important fields."""
    if fields is None:
        return None
    progress, error = fields.progress, fields.error
    return {
        name: pointer
        for name, pointer in (
            ("id", fields.id and fields.id.text),
            ("status", fields.status and fields.status.text),
            ("progress", progress and f"{progress.at.text} of {_of(progress.of)}"),
            ("eta", fields.eta and fields.eta.at.text),
            ("result", fields.result and fields.result.text),
            ("error code", error and error.code and error.code.text),
            ("error", error and error.message and error.message.text),
            ("time", fields.time and fields.time.text),
        )
        if pointer
    }


def _of(whole: object) -> str:
    return whole.text if isinstance(whole, Pointer) else f"{whole:g}"


def _listed(pointers: dict[str, str]) -> str:
    return ", ".join(f"{name} {pointer}" for name, pointer in pointers.items())


def _kind(profile: Profile, kind: JobKind) -> dict[str, Any]:
    push, poll, states = kind.push, kind.poll, kind.states
    words = {
        state.value: [word for word, meaning in states.words.items() if meaning is state]
        for state in State
    }
    if states.otherwise:
        words[states.otherwise.value].append("(all others)")
    template = mirror_template(profile, kind)
    return {
        "pushed": (list(push.matches.words) or ["all"]) if push else None,
        "deduped": (f"by {push.event_id.text}" if push.event_id else "by the body")
        if push
        else None,
        "push-fields": _pointers(push),
        "polled": poll and poll.request.text,
        "polled together": poll.list.request.text if poll and poll.list else None,
        "auth": poll.auth.text if poll and poll.auth else None,
        "every": poll and " to ".join(map(span, poll.every)),
        "cancel": poll.cancel.text if poll and poll.cancel else None,
        "root": poll.root.text if poll and poll.root is not WHOLE else None,
        "poll-fields": _pointers(poll),
        "submit-fields": _pointers(kind.submit),
        "mirror": template.text if template else None,
        "states": {state: found for state, found in words.items() if found},
    }
