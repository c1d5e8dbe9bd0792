"""Reads the configuration of a running `ringback up` again, when SIGUSR1 asks for it.

SIGHUP stops, as it did: a closing terminal sends it.
"""

from collections.abc import Mapping
from pathlib import Path

from processor.cli import output
from processor.cli.config import read
from processor.cli.supervisor import Signals
from processor.errors import ConfigError


class Reload:
    """Whether the processes are to be replaced, because the configuration is to be read again."""

    def __init__(self, signals: Signals, config: Path | None, environ: Mapping[str, str]) -> None:
        self.signals = signals
        self._config, self._environ = config, environ
        self._done = 0

    def asked(self) -> bool:
        """Whether it was asked for since the last call, and the configuration is right."""
        if self.signals.reloads == self._done:
            return False
        self._done = self.signals.reloads
        try:
            read(self._config, self._environ)
        except ConfigError as error:
            for line in str(error).splitlines():
                output.notice(line)
            output.notice(
                "not reloaded: the configuration of before stays; correct it, and ask again"
            )
            return False
        output.notice("reloading: each process is replaced by one with the new configuration")
        return True
