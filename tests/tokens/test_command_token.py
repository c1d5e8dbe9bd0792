"""A token from a command is renewed before it expires, and one run at a time serves all polls."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from processor.config import checks
from processor.errors import ConfigError
from processor.tokens import CommandToken
from processor.tokens.command_token import RERUN_PAUSE
from processor.tokens.printed_token import BARE_LASTS

from .conftest import Run

Command = Callable[[str], str]
AT = "ringback.toml: sources.cloud.token"


class Clock:
    """Seconds since 1970, which the test sets."""

    def __init__(self) -> None:
        """Any time."""
        self.now = 1_795_953_600.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def token_of(command: Command, clock: Clock) -> Callable[..., CommandToken]:
    def make(program: str, *words: str) -> CommandToken:
        check = lambda token: checks.header_value("the token", f"Bearer {token}")  # noqa: E731
        return CommandToken(AT, [command(program), *words], check, clock)

    return make


class Printed:
    """What a command prints, which the test changes: a file, and the program that prints it."""

    def __init__(self, file: Path) -> None:
        """Print `one`."""
        self.program = f"print(open({str(file)!r}).read())"
        self._file = file
        self.now("one")

    def now(self, text: str) -> None:
        """Print this from now on."""
        self._file.write_text(text)

    def fail(self) -> None:
        """Fail from now on."""
        self._file.unlink()


@pytest.fixture
def printed(tmp_path: Path) -> Printed:
    return Printed(tmp_path / "printed")


def test_two_polls_at_once_share_one_run(run: Run, token_of: Any, runs: Any):
    token = token_of("import time; time.sleep(0.2); print('t')")

    async def both() -> list[str]:
        return await asyncio.gather(*(token.now() for _ in range(20)))

    assert run(both()) == ["t"] * 20
    assert runs() == 1


def test_polls_at_once_share_a_failure_too(run: Run, token_of: Any, runs: Any):
    token = token_of("import sys, time; time.sleep(0.2); sys.exit(3)")

    async def both() -> list[Any]:
        return await asyncio.gather(*(token.now() for _ in range(9)), return_exceptions=True)

    assert {type(result) for result in run(both())} == {ConfigError}
    assert runs() == 1


@pytest.mark.parametrize(
    ("first", "life"),
    [("one", BARE_LASTS), ('{"token": "one", "expires_in": 3600}', 3600.0)],
)
async def test_a_token_is_renewed_at_four_fifths_of_its_life(
    token_of: Any, printed: Printed, clock: Clock, first: str, life: float
):
    printed.now(first)
    token = token_of(printed.program)
    assert await token.now() == "one"
    printed.now("two")
    clock.now += 0.8 * life - 0.1
    assert await token.now() == "one"
    clock.now += 0.2
    assert await token.now() == "two"
    assert token.known() == ("one", "two")


async def test_a_refused_token_is_renewed_at_most_once_a_minute(
    token_of: Any, printed: Printed, runs: Any, clock: Clock
):
    token = token_of(printed.program)
    await token.now()
    assert not token.refused("one")  # it is younger than a minute
    assert await token.now() == "one"
    clock.now += RERUN_PAUSE
    assert token.refused("one")
    assert token.refused("one")  # by another poll at the same time
    printed.now("two")
    assert await token.now() == "two"
    assert token.refused("one")  # a late answer: the next poll has another token
    assert not token.refused("two")
    assert await token.now() == "two"
    assert runs() == 2


async def test_a_clock_that_was_set_back_does_not_prevent_a_renewal(
    token_of: Any, printed: Printed, clock: Clock
):
    token = token_of(printed.program)
    await token.now()
    clock.now -= 3600
    printed.now("two")
    assert token.refused("one")
    assert await token.now() == "two"


async def test_a_command_that_prints_the_refused_token_again_is_not_run_in_a_loop(
    token_of: Any, runs: Any, clock: Clock
):
    token = token_of("print('same')")
    await token.now()
    clock.now += RERUN_PAUSE
    assert token.refused("same")
    assert await token.now() == "same"
    assert not token.refused("same")
    assert runs() == 2


async def test_a_failure_before_the_end_keeps_the_token_and_is_logged(
    token_of: Any, printed: Printed, runs: Any, clock: Clock
):
    token = token_of(printed.program)
    await token.now()
    printed.fail()
    clock.now += 0.8 * BARE_LASTS
    with capture_logs() as logs:
        assert await token.now() == await token.now() == "one"
    assert runs() == 2
    (entry,) = logs
    assert (entry["event"], entry["log_level"]) == ("token_not_renewed", "warning")
    assert "FileNotFoundError" not in entry["reason"]  # beyond the first 200 bytes
    clock.now += 0.2 * BARE_LASTS
    with pytest.raises(ConfigError):
        await token.now()
    printed.now("two")
    assert await token.now() == "two"


async def test_a_failure_after_a_refusal_is_an_error(token_of: Any, printed: Printed, clock: Clock):
    token = token_of(printed.program)
    await token.now()
    clock.now += RERUN_PAUSE
    assert token.refused("one")
    printed.fail()
    with pytest.raises(ConfigError, match="it ended with exit code 1"):
        await token.now()


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import sys; print('hush'); print('no\\a\\x1b[31m\\n login\\r', file=sys.stderr); sys.exit(3)", "it ended with exit code 3: no [31m login"),
        ("import sys; sys.stderr.buffer.write(b'\\xff' + b'x' * 300); sys.exit(4)", "it ended with exit code 4: �" + "x" * 199),
        ("import sys; print('hush'); sys.exit(5)", "it ended with exit code 5: nothing on standard error"),
        ("import os; os.kill(os.getpid(), 15)", "it ended with signal 15: nothing on standard error"),
        ("print('hush\\nhush')", "the token: it holds a line break or another control character, which no header can carry; remove it"),
        ("print('hush\\x07')", "the token: it holds a line break or another control"),
        ("import sys; sys.stdout.buffer.write('hush€'.encode())", "the token: it holds a character that no header can carry"),
        ("import sys; sys.stdout.buffer.write(b'hush\\xff')", "what it printed is not UTF-8"),
        ("print('x' * 65536)", "it printed more than 65536 bytes"),
    ],
)  # fmt: skip
async def test_an_error_names_source_command_and_reason_and_never_the_output(
    token_of: Any, tmp_path: Path, program: str, says: str
):
    with pytest.raises(ConfigError) as refusal:
        await token_of(program, "--secret", "hush").now()
    shown = str(refusal.value)
    assert shown.startswith(f"{AT}: {tmp_path / 'command'}: {says}")
    assert "hush" not in shown
    assert shown.isprintable()


@pytest.mark.parametrize("before", ["", "x" * 190])
async def test_a_known_token_in_standard_error_is_masked(
    token_of: Any, tmp_path: Path, clock: Clock, before: str
):
    """Also one that is cut by the end of what is shown."""
    again = str(tmp_path / "again")
    once = f"import os, sys\nif os.path.exists({again!r}):\n  sys.exit('{before} hush-hush-hush')\n"
    token = token_of(f"{once}open({again!r}, 'w').close()\nprint('hush-hush-hush')")
    await token.now()
    clock.now += BARE_LASTS
    with pytest.raises(ConfigError) as refusal:
        await token.now()
    assert "********" in str(refusal.value)
    assert "hush" not in str(refusal.value)


def test_the_credential_is_the_command_and_no_token_is_known_before_the_first_run(
    token_of: Any, runs: Any
):
    token = token_of("print('t')", "a b")
    assert token.credential == token_of("print('t')", "a b").credential
    assert token.credential != token_of("print('t')", "a", "b").credential
    assert token.known() == ()
    assert runs() == 0
