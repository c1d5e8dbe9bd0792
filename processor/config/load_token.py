"""From the `token` of a [sources.NAME] table to a token: a text, or a command that prints one."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from processor.config import checks
from processor.config.load_context import LoadContext
from processor.config.place import At
from processor.config.schema import Secrets
from processor.errors import ConfigError
from processor.provider import Profile
from processor.tokens import CommandToken, RenewedToken

EXEC = "exec"  # the first word of a command


class LoadedToken(NamedTuple):
    """The token, empty if a command will print it, and where it is renewed, if it is."""

    text: str | None = None
    renewed: RenewedToken | None = None


def load_token(
    context: LoadContext, at: At, profile: Profile, written: Secrets | None
) -> LoadedToken:
    """Resolve a token; ConfigError if it is none, or no header can carry it."""
    if isinstance(written, list):
        check = partial(_check_token, "the token", profile)
        return LoadedToken("", CommandToken(str(at), _command(context, at, written), check))
    token = next(iter(context.secret.all(at, written)), None)
    if token:
        _check_token(at, profile, token)
    return LoadedToken(token, context.secret.file(at, written))


def _command(context: LoadContext, at: At, written: Sequence[str]) -> list[str]:
    """The program and its arguments; a relative path is relative to the file, as in `file:PATH`."""
    if written[:1] != [EXEC] or not all(written[1:2] or [""]):
        raise ConfigError(
            f'{at}: a list is a command that prints the token; write ["{EXEC}", "PROGRAM", "ARGUMENT"], '
            'or the token as a text, such as "env:TOKEN"'
        )
    if any("\0" in word for word in written):
        raise ConfigError(f"{at}: a word of a command cannot hold the character 0; remove it")
    program, *arguments = written[1:]
    if "/" in program:
        program = str((context.secret.folder / program).absolute())
    return [program, *arguments]


def _check_token(at: At, profile: Profile, token: str) -> None:
    """Refuse a token that no header can carry; else only the provider's refusal would show it."""
    for kind in profile.kinds.values():
        if kind.poll and kind.poll.auth:
            _, value = kind.poll.auth.header(token)
            checks.header_value(at, value)
