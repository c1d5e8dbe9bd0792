"""`ringback providers …`: lists profiles, checks a profile, and prints a skeleton of one."""

import importlib.resources
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from processor import provider
from processor.cli import options, output, profile_lint
from processor.cli.exit_codes import Exit
from processor.cli.lazy_group import command_group
from processor.cli.profile_summary import facts, polls, pushes, rows
from processor.config.loading import load_profiles
from processor.config.profiles import SUFFIX, ProfileRegistry, check_name
from processor.errors import ConfigError
from processor.provider import Profile
from processor.provider.parse_profile import decode_profile

COLUMNS = ("provider", "push", "poll", "kinds", "docs", "own")


def providers(
    context: typer.Context, *, config: options.Config, json: options.Json = False
) -> None:
    """List the providers that a source may name: built-in ones and those of your folder.

    Example: `ringback providers`.
    """
    if context.invoked_subcommand is None:
        profiles, built_in = load_profiles(config), ProfileRegistry()
        items = [
            _item(profiles[name], own=profiles.files[name] != built_in.files.get(name))
            for name in profiles
        ]
        output.page({"items": items, "next": None}, COLUMNS, _row, json=json)


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Profiles, as TOML.")],
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
    json: options.Json = False,
) -> None:
    """Print what is wrong with profiles, line by line, and what was understood.

    Ends with 2 when a profile cannot be used; warnings alone end with 0, unless --strict is given.

    Example: `ringback providers check providers/acme.toml --strict`.
    """
    results = [check_file(file) for file in files]
    for result in results:
        for message in result.messages():
            output.notice(message)
    if json:
        output.document({"items": [result.as_json() for result in results]})
    else:
        _show([result.profile for result in results if result.profile])
    bad = any(result.error or (strict and result.warnings) for result in results)
    raise typer.Exit(Exit.USAGE if bad else Exit.GOOD)


def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The provider's name, as sources will name it.")
    ],
    *,
    json: options.Json = False,
) -> None:
    """Print a skeleton of a profile.

    Example: `ringback providers new acme > providers/acme.toml`.
    """
    check_name(repr(name), name)
    if name in ProfileRegistry():
        output.notice(f"{name} is a built-in provider: a profile in your folder replaces it")
    text = skeleton(name, datetime.now(UTC).date())
    output.result({"name": name, "text": text}, *text.splitlines(), json=json)


def group() -> typer.Typer:
    """The group; without a command it lists the providers."""
    return command_group({"check": check, "new": new}, alone=providers)


class CheckResult(NamedTuple):
    """A file's profile with its warnings, or the error that makes it unusable."""

    file: str
    profile: Profile | None
    error: str | None  # the whole line
    warnings: list[tuple[int, str]]

    def messages(self) -> list[str]:
        """Lines of text: FILE:LINE: what is wrong, and the remedy."""
        warnings = [f"{self.file}:{line}: warning: {text}" for line, text in self.warnings]
        return [self.error, *warnings] if self.error else warnings

    def as_json(self) -> dict[str, Any]:
        """The same as JSON, with the profile."""
        return {
            "file": self.file,
            "error": self.error,
            "warnings": [{"line": line, "text": text} for line, text in self.warnings],
            "profile": self.profile and facts(self.profile),
        }


def check_file(file: Path) -> CheckResult:
    """Parse one profile, and lint it."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        return CheckResult(str(file), None, f"{file}: cannot be read: {error.strerror}", [])
    try:
        text = decode_profile(raw, str(file))
        name = file.name.removesuffix(SUFFIX)
        check_name(str(file), name)
        profile = provider.parse(name, text, where=str(file))
    except ConfigError as error:
        return CheckResult(str(file), None, str(error), [])
    today = datetime.now(UTC).date()
    warnings = profile_lint.warnings(profile, text, tomllib.loads(text), today)
    return CheckResult(str(file), profile, None, warnings)


def skeleton(name: str, today: date) -> str:
    """The text of a profile to start from."""
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
