"""All problems of a configuration, reported together: a line for each."""

from collections.abc import Callable
from typing import TypeVar

from processor.errors import ConfigError

_T = TypeVar("_T")


class Problems:
    """Collects problems, so that an operator sees all of them at the first start."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Note a problem, once."""
        if line not in self._lines:
            self._lines.append(line)

    def collect(self, default: _T, make: Callable[..., _T], *args: object) -> _T:
        """What `make` returns; if it raises ConfigError, that is noted and `default` returned."""
        try:
            return make(*args)
        except ConfigError as error:
            self.add(str(error))
            return default

    def raise_if_any(self) -> None:
        """Raise ConfigError with all problems, if there are any."""
        if self._lines:
            raise ConfigError("\n".join(self._lines))
