"""The command line: starts processes by module name, and talks HTTP to a running server.

app            which commands there are
exits          how a command ends
up             the whole of Ringback on one machine; supervisor, child, orphan, lock, redis, key_file
processes      one process of it
jobs, events, subscriptions, sources    a running server, seen from outside; client, credentials, sse, follow, progress
providers      the profiles there are; describing, linting, skeleton.toml
secrets        what Redis holds, sealed with the newest master key
configuration, doctor, inspect    what is set up, does it work, what would a push say
simulate/      a provider's documented life, pushed and polled
demo/          everything at once, on this machine, with simulated providers
"""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

import structlog


def _to_standard_error(*_: object) -> structlog.PrintLogger:
    """Keep what our libraries log apart from the result, which programs read."""
    return structlog.PrintLogger(sys.stderr)


def _clean_variables() -> None:
    """Take the variables of ours as they are meant, before the options read them."""
    from processor.config.environment import KNOWN, cleaned  # noqa: PLC0415 - see main

    meant = cleaned(os.environ)
    for name in os.environ.keys() & set(KNOWN):
        if name in meant:
            os.environ[name] = meant[name]
        else:
            del os.environ[name]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; what is wrong becomes a line each and an exit code."""
    from processor.cli.app import build  # noqa: PLC0415 - tests use parts of the CLI without it
    from processor.cli.exit_codes import CommandError, Exit  # noqa: PLC0415 - see above
    from processor.errors import ConfigError  # noqa: PLC0415 - see above

    _clean_variables()
    structlog.configure(logger_factory=_to_standard_error)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show it all gets the rest
    try:
        build()(args=argv, prog_name="ringback")
    except CommandError as error:
        sys.stderr.write(f"ringback: {error}\n")
        sys.exit(error.code)
    except ConfigError as error:
        sys.stderr.write("".join(f"ringback: {line}\n" for line in str(error).splitlines()))
        sys.exit(Exit.USAGE)
