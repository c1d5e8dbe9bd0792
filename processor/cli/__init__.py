"""The command line: starts processes by module name, and talks HTTP to a running server.

__main__         `python -m processor.cli`
app              the list of commands
lazy_group       imports a command's module only when it is called
conversion       converts the values of options without pydantic
logs             logs go to standard error
exit_codes       how a command ends
completion       `ringback completion`: commands and options in bash, zsh and fish
output           what goes to the terminal: columns for people, JSON for programs
options          options that several commands share
option_groups    options that become one value, such as the client of a server

Ringback on one machine:
up               `ringback up`
supervisor       keeps the child processes running
child            one supervised process
reload           reads the configuration again, when a signal asks for it
parent_death     child processes end when their parent is killed
lock             one data directory, one running instance
embedded_redis   the embedded Redis
file_rewrites    rewrites its append-only file at a low priority
key_file         the API key that `up` makes for its own machine
listen_address   is the port free, and what is its URL
readiness        waits until the web is ready
processes        `ringback web`, `worker`, `clock`: one process each

A running server, from outside:
client           the HTTP client of the command line
http_request     one HTTP/1.1 request to a server
credentials      which API key a command sends
sse              reads Server-Sent Events
follow           follows jobs and groups until they have ended
progress         progress of jobs: bars or lines
watch            `ringback watch`, `wait`
jobs             `ringback jobs`, `history`
groups           `ringback group`
mcp              `ringback mcp`: carries an agent's messages to a server
events           `ringback events`
listen           `ringback listen`: posts events to a program on this machine
sources          `ringback sources`
register         `ringback sources register`
subscriptions    `ringback subscriptions`
setting_options  the options for the settings of a subscription
replay           `ringback subscriptions replay`
deliveries       `ringback deliveries`

Configuration and checks:
config           `ringback config`: the settings, secrets redacted
doctor           `ringback doctor`: is everything there, and does it work
redis_doctor     what `doctor` finds about Redis
inspect          `ringback inspect`: is this push genuine, and what does it say
secrets          `ringback secrets seal`: encrypts everything with the newest master key
providers        `ringback providers`: list, check and create profiles
profile_summary  a profile as it was understood
profile_lint     warnings about a profile that parses

Without a provider:
loopback_server  an HTTP server on a loopback port, for simulated providers and the subscriber
simulate         `ringback simulate`: a simulated provider
demo             `ringback demo`: everything at once, with simulated providers
"""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper


def _clean_variables() -> None:
    """Trim Ringback's environment variables before the options read them; a blank one is unset."""
    from processor.text_input import decode_system_text  # noqa: PLC0415 - see main

    for name in [n for n in os.environ if n.startswith("RINGBACK_") or n in {"REDIS_URL", "PORT"}]:
        text = decode_system_text(os.environ[name]).strip()
        if text:
            os.environ[name] = text
        else:
            del os.environ[name]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; an error becomes a line on standard error and an exit code."""
    from processor.cli.app import build  # noqa: PLC0415 - tests use parts of the CLI without it
    from processor.cli.completion import prepare  # noqa: PLC0415 - see above
    from processor.cli.exit_codes import CommandError, Exit  # noqa: PLC0415 - see above
    from processor.errors import ConfigError  # noqa: PLC0415 - see above

    _clean_variables()
    prepare()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Characters that a terminal cannot show are replaced.
            stream.reconfigure(errors="replace")
    try:
        build()(args=argv, prog_name="ringback")
    except CommandError as error:
        sys.stderr.write(f"ringback: {error}\n")
        sys.exit(error.code)
    except ConfigError as error:
        sys.stderr.write("".join(f"ringback: {line}\n" for line in str(error).splitlines()))
        sys.exit(Exit.USAGE)
