"""`ringback demo`: a whole Ringback on this machine, with simulated providers and a subscriber.

subscriber_server  receives the callbacks and verifies their signatures
scenarios          which jobs are simulated, and which callbacks must come
simulation         runs a scenario's provider, and configures Ringback for it
sandbox            a Ringback in a temporary folder
run                runs everything, and compares callbacks with what was expected
"""

from importlib.util import find_spec

import typer

from processor.cli import options
from processor.cli.exit_codes import CommandError

MISSING_LIBRARY = (
    "the demo's subscriber verifies with the standardwebhooks library, which is not installed: "
    "pip install 'ringback[demo]'"
)


def demo(*, json: options.Json = False) -> None:
    """Run jobs of simulated providers, and check every callback.

    Ends with 0 only if every expected callback came exactly once and was verified.

    Example: `ringback demo`.
    """
    if find_spec("standardwebhooks") is None:
        raise CommandError(MISSING_LIBRARY)
    from processor.cli.demo.run import run  # noqa: PLC0415 - needs the extra `demo`

    raise typer.Exit(run(json=json))
