"""The tables of docs/providers.md, made from the profiles; `make docs` writes them there."""

from collections.abc import Callable, Sequence
from pathlib import Path

from processor import signing
from processor.config.profiles import ProfileRegistry
from processor.model import State
from processor.provider import JobKind, Profile
from processor.signing import Verify

PAGE = Path(__file__).parents[1] / "docs" / "providers.md"
BEGIN, END = "<!-- {}: made by `make docs` -->\n", "<!-- end of it -->"
HEAD = ("provider", "pushed", "signed", "polled", "words", "inferred")
NEEDS = ("provider", "its source needs", "its webhook")


def page() -> str:
    """The page with its tables as the profiles have them now."""
    shelf = ProfileRegistry()
    text = _put(PAGE.read_text(), "what they say", HEAD, [_row(shelf[name]) for name in shelf])
    return _put(text, "what they need", NEEDS, [_need(shelf[name]) for name in shelf])


def _put(text: str, name: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    before, begin, rest = text.partition(BEGIN.format(name))
    lines = [head, ("---",) * len(head), *rows]
    table = "".join("| " + " | ".join(row) + " |\n" for row in lines)
    return before + begin + table + END + rest.partition(END)[2]


def _need(profile: Profile) -> tuple[str, str, str]:
    polls = [kind.poll for kind in profile.kinds.values() if kind.poll]
    rule, auth = profile.verify, next((poll.auth for poll in polls if poll.auth), None)
    given = {name for kind in profile.kinds.values() for name in kind.params_from_provider} | {
        *profile.params
    }
    setting = {poll.request.setting for poll in polls} - {None}
    params = sorted(profile.placeholders - given - setting)
    named = sorted(profile.placeholders & given - setting)
    needs = [
        (bool(auth), "`token`" + (" (if it wants one)" if auth and auth.optional else "")
         + (": `user:password`" if auth and auth.text == "basic" else "")),
        (profile.needs_secret, "`webhook_secret`"
         + (": `whsec_…` or `whpk_…`" if rule and rule.scheme == "standard-webhooks" else "")
         + (", or `whsec_…` for the signed way" if rule and rule.secret_selects_scheme else "")),
        (bool(rule and signing.has_senders(rule)), "`senders`"),
        (bool(params), "`params`: " + ", ".join(f"`{name}`" for name in params)),
        (bool(named), "may have `params`: " + ", ".join(f"`{name}`" for name in named)),
        (bool(setting), "`status_url`" + (", if answers contain none" if setting & given else "")),
        (bool(polls) and not profile.base_url and not setting - given, "`base_url`"),
    ]  # fmt: skip
    return (
        f"`{profile.name}`",
        "; ".join(text for true, text in needs if true) or "nothing",
        _hook(profile),
    )


def _hook(profile: Profile) -> str:
    if profile.register is None:
        return "none" if profile.push is None else "not known"
    if not profile.register.paste:
        tells = ", which prints the generated secret" if profile.register.secret else ""
        return f"`ringback sources register`{tells}"
    return (
        profile.register.paste.replace("`{url}`", "URL")
        .replace("{url}", "URL")
        .replace("{name}", "NAME")
    )


def _row(profile: Profile) -> tuple[str, ...]:
    name = f"[`{profile.name}`](../processor/providers/{profile.name}.toml)"
    return (
        name + "<br>" + _link(profile.docs),
        _each(profile, _pushed),
        _signed(profile),
        _each(profile, _asked),
        _each(profile, _words),
        profile.inferred or "nothing",
    )


def _link(docs: str) -> str:
    return f"[docs]({docs})" if docs.startswith("http") else docs


def _each(profile: Profile, describe: Callable[[JobKind], str]) -> str:
    """One line a kind, named but for the default one."""
    lines = [(kind, describe(profile.kinds[kind])) for kind in profile.kinds]
    if len({text for _, text in lines}) == 1:
        return lines[0][1]
    return "<br>".join(f"`{kind}:` {text}" if kind else text for kind, text in lines)


def _pushed(kind: JobKind) -> str:
    if kind.push is None:
        return "no"
    return ", ".join(f"`{word}`" for word in kind.push.matches.words) or "yes"


def _signed(profile: Profile) -> str:
    rule = profile.verify
    if profile.push is None:
        return "no pushes"
    trust = ", refetched" if profile.push.trust == "refetch" else ""
    if rule is None:
        return f"no{trust}"
    return " or ".join(map(_way, rule.alternatives)) + trust


def _way(rule: Verify) -> str:
    where = rule.header or (f"`?{rule.query}=`" if rule.query else rule.field)
    return f"`{rule.scheme}` {where}".strip()


def _asked(kind: JobKind) -> str:
    if kind.poll is None:
        return "no"
    first, longest = (f"{seconds:g} s" for seconds in kind.poll.every)
    many = f" (many: `{kind.poll.list.request.text}`)" if kind.poll.list else ""
    return f"`{kind.poll.request.text}`{many}, {first} to {longest}"


def _words(kind: JobKind) -> str:
    states = kind.states
    listed = [
        f"{state}: "
        + ", ".join(f"`{word}`" for word, ours in states.words.items() if ours is state)
        for state in State
        if state in states.words.values()
    ]
    return "; ".join([*listed, *([f"{states.otherwise}: all others"] if states.otherwise else [])])


if __name__ == "__main__":
    PAGE.write_text(page())
