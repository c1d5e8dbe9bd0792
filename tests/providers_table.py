"""The table of docs/providers.md, made from the profiles; `make docs` writes it there."""

from collections.abc import Callable
from pathlib import Path

from processor.config.shelf import Shelf
from processor.model import State
from processor.provider import Kind, Profile

PAGE = Path(__file__).parents[1] / "docs" / "providers.md"
BEGIN, END = "<!-- table of the profiles: made by `make docs` -->\n", "<!-- end of the table -->"
HEAD = ("provider", "pushed", "signed", "asked", "words", "inferred")


def page() -> str:
    """The page with its table as the profiles have it now."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def table() -> str:
    """One row a profile."""
    shelf = Shelf()
    rows = [HEAD, ("---",) * len(HEAD), *(_row(shelf[name]) for name in shelf)]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


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


def _each(profile: Profile, told: Callable[[Kind], str]) -> str:
    """One line a kind, named but for the default one."""
    lines = [(kind, told(profile.kinds[kind])) for kind in profile.kinds]
    if len({text for _, text in lines}) == 1:
        return lines[0][1]
    return "<br>".join(f"`{kind}:` {text}" if kind else text for kind, text in lines)


def _pushed(kind: Kind) -> str:
    if kind.push is None:
        return "no"
    return ", ".join(f"`{word}`" for word in kind.push.about.words) or "yes"


def _signed(profile: Profile) -> str:
    rule = profile.verify
    if profile.push is None:
        return "no pushes"
    trust = ", refetched" if profile.push.trust == "refetch" else ""
    if rule is None:
        return f"no{trust}"
    where = rule.header or (f"`?{rule.query}=`" if rule.query else rule.field)
    return f"`{rule.scheme}` {where}".strip() + trust


def _asked(kind: Kind) -> str:
    if kind.poll is None:
        return "no"
    first, longest = (f"{seconds:g} s" for seconds in kind.poll.every)
    return f"`{kind.poll.request.text}`, {first} to {longest}"


def _words(kind: Kind) -> str:
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
