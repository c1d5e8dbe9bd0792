"""Commands are imported when they are called, and their help says what they say themselves."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
import structlog

from processor.cli import logs, main
from processor.cli.app import COMMANDS
from processor.cli.exit_codes import Exit
from processor.cli.lazy_group import Command, load
from processor.cli.sources import REGISTER

ALL = {**COMMANDS, "register": REGISTER}
OF_SERVERS = [
    ["--help"],
    ["jobs"],
    ["events"],
    ["wait", "s", "1"],
    ["watch", "s", "1"],
    ["sources"],
    ["history", "s", "1"],
    ["jobs", "show", "s", "1", "--json"],
    ["jobs", "poll", "s", "1"],
    ["jobs", "rm", "s/1", "s/2"],
    ["jobs", "--limit", "3", "--metadata", "a=1"],
    ["group", "create", "s/1", "--id", "g"],
    ["group", "show", "g"],
    ["events", "--follow", "--type", "job.failed"],
    ["subscriptions", "list"],
    ["subscriptions", "add", "http://x.example", "--concurrency", "2", "--ordered"],
    ["subscriptions", "test", "sub_1"],
    ["subscriptions", "replay", "sub_1", "--since", "24h"],
    ["deliveries", "list", "sub_1"],
    ["deliveries", "retry", "d"],
]
HEAVY = (
    *("pydantic", "msgspec", "rich", "structlog"),
    *("dramatiq", "starlette", "redis", "asyncio"),
    *("http.client", "email", "ssl"),
    *("processor.config", "processor.provider", "processor.service", "processor.store"),
)


@pytest.mark.parametrize("name", ALL)
def test_the_help_of_a_command_is_its_own(name: str) -> None:
    command: Command = ALL[name]
    text = load(name, command).help
    assert text.splitlines()[0] == command.help


@pytest.mark.parametrize("name", ALL)
def test_every_command_is_where_the_table_says(name: str) -> None:
    command: Command = ALL[name]
    assert callable(getattr(import_module(f"processor.cli.{command.module}"), command.function))


def test_a_command_that_may_log_does_so_on_standard_error() -> None:
    load("inspect", COMMANDS["inspect"])
    assert structlog.get_config()["logger_factory"] is logs._to_standard_error


@pytest.mark.parametrize("words", OF_SERVERS, ids=" ".join)
def test_a_command_that_only_asks_a_server_imports_little(words: list[str]) -> None:
    script = (
        "import sys\n"
        "from processor.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    url = [] if words == ["--help"] else ["--url", "http://127.0.0.1:1"]
    ended = subprocess.run(
        [sys.executable, "-c", script, *words, *url], capture_output=True, check=False, text=True
    )
    assert ended.stderr.splitlines()[-1] == "[]", ended.stderr


def every(name: str, command: Any) -> Iterator[tuple[str, str]]:
    """Each command that does something, with its help."""
    if not hasattr(command, "list_commands") or command.invoke_without_command:
        yield name, command.help
    for word in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from every(f"{name} {word}", command.get_command(None, word))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_has_an_example_that_names_the_command(name: str) -> None:
    for words, text in every(name, load(name, COMMANDS[name])):
        examples = " ".join(text.split()).partition("Example")[2]
        assert re.search(rf"ringback {words}[ `]", examples), words


def test_the_help_names_every_exit_code(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split()).partition("Exit codes:")[2]
    assert [int(code) for code in re.findall(r"\b\d\b", text.partition(".")[0])] == list(Exit)
