"""`ringback providers …`: which profiles there are, what is wrong with one, how to begin one."""

import importlib.resources
import re
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from processor import provider
from processor.cli import options, output, profile_lint
from processor.cli.exit_codes import CommandError, Exit
from processor.cli.profile_summary import facts, polls, pushes, rows
from processor.config.loading import load_profiles
from processor.config.profiles import SUFFIX, ProfileRegistry
from processor.errors import ConfigError
from processor.provider import Profile
from processor.provider.parse_profile import decode_text

COLUMNS = ("provider", "push", "poll", "kinds", "docs", "own")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")


def providers(
    context: typer.Context, *, config: options.Config = None, json: options.Json = False
) -> None:
    """List every provider that a source may name: the built-in ones, and those of your folder."""
    if context.invoked_subcommand is None:
        shelf, built_in = load_profiles(options.config_file(config)), ProfileRegistry()
        items = [
            _item(shelf[name], own=shelf.files[name] != built_in.files.get(name)) for name in shelf
        ]
        output.page({"items": items, "next": None}, COLUMNS, _row, json=json)


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Profiles, as TOML.")],
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Let a warning fail, too.")] = False,
    json: options.Json = False,
) -> None:
    """Say what is wrong with a profile, line by line, and show what was understood.

    Ends with 2 when a profile cannot be used; warnings alone end with 0, unless --strict is given.
    """
    found = [checked(file) for file in files]
    for one in found:
        for line in one.complaints():
            output.say(line)
    if json:
        output.document({"items": [one.told() for one in found]})
    else:
        _show([one.profile for one in found if one.profile])
    bad = any(one.error or (strict and one.warnings) for one in found)
    raise typer.Exit(Exit.USAGE if bad else Exit.GOOD)


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What sources will call it.")],
    *,
    json: options.Json = False,
) -> None:
    """Print a profile to begin with: `ringback providers new acme > providers/acme.toml`."""
    if not _NAME.fullmatch(name):
        raise CommandError(
            f"{name!r}: a provider's name has 1 to 63 of a-z 0-9 . _ - and starts and ends with a "
            "letter or digit"
        )
    if name in ProfileRegistry():
        output.say(f"there is a built-in {name}: yours, in the folder `providers`, replaces it")
    text = skeleton(name, datetime.now(UTC).date())
    if json:
        return output.document({"name": name, "text": text})
    for line in text.splitlines():
        output.line(line)
    return None


def group() -> typer.Typer:
    """Put the three together: the list is what is shown without a command."""
    app = typer.Typer(invoke_without_command=True)
    app.callback()(providers)
    app.command("check")(check)
    app.command("new")(new)
    return app


class Checked(NamedTuple):
    """A file, and what came of it: an error, or a profile and what is odd in it."""

    file: str
    profile: Profile | None
    error: str | None  # the whole line
    warnings: list[tuple[int, str]]

    def complaints(self) -> list[str]:
        """The lines for people: FILE:LINE: what, and the remedy."""
        odd = [f"{self.file}:{line}: warning: {text}" for line, text in self.warnings]
        return [self.error, *odd] if self.error else odd

    def told(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "file": self.file,
            "error": self.error,
            "warnings": [{"line": line, "text": text} for line, text in self.warnings],
            "profile": self.profile and facts(self.profile),
        }


def checked(file: Path) -> Checked:
    """Parse one profile, and look for what is odd in it."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        return Checked(str(file), None, f"{file}: cannot be read: {error.strerror}", [])
    try:
        text = decode_text(raw, str(file))
        profile = provider.parse(file.name.removesuffix(SUFFIX), text, where=str(file))
    except ConfigError as error:
        return Checked(str(file), None, str(error), [])
    today = datetime.now(UTC).date()
    odd = profile_lint.warnings(profile, text, tomllib.loads(text), today)
    return Checked(str(file), profile, None, odd)


def skeleton(name: str, today: date) -> str:
    """The text of a profile to begin with."""
    text = (importlib.resources.files("processor.cli") / "skeleton.toml").read_text("utf-8")
    return text.replace("NAME", name).replace("TODAY", today.isoformat())


def _show(profiles: list[Profile]) -> None:
    for number, profile in enumerate(profiles):
        if number:
            output.line("")
        (_, name), *others = rows(profile)
        output.table(("profile", str(name)), others)


def _item(profile: Profile, *, own: bool) -> dict[str, Any]:
    return {
        "name": profile.name,
        "push": pushes(profile),
        "poll": polls(profile),
        "kinds": list(profile.kinds),
        "docs": profile.docs or None,
        "own": own,
    }


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    kinds = [f"{kind}:" if kind else "jobs" for kind in item["kinds"]]
    own = "yes" if item["own"] else "no"
    return (item["name"], item["push"] or "no", item["poll"] or "no", kinds, item["docs"], own)
