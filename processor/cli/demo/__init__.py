"""`ringback demo`: everything at once, on this machine, with simulated providers.

payloads           what the providers send, and how far that is documented
provider_server    the simulated Wistia and Bluesky that are polled
push_client        what the simulated providers push, and how they sign it
subscriber_server  receives the callbacks, and verifies each
sandbox            a Ringback of its own, in a temporary folder
output             what is printed
run                the demo from start to end
"""

from importlib.util import find_spec

import typer

from processor.cli import options
from processor.cli.exit_codes import CommandError

WITHOUT = (
    "the demo's subscriber verifies with the standardwebhooks library, which is not installed: "
    "pip install 'ringback[demo]'"
)


def demo(*, json: options.Json = False) -> None:
    """Play documented jobs from simulated providers, and check every callback.

    Ends with 0 only if every expected callback came, once, and was verified.
    """
    if find_spec("standardwebhooks") is None:
        raise CommandError(WITHOUT)
    from processor.cli.demo.run import play  # noqa: PLC0415 - needs the extra `demo`

    raise typer.Exit(play(json=json))
