"""Everything that is wrong with a configuration, told together: a line each."""

from collections.abc import Callable
from typing import TypeVar

from processor.errors import ConfigError

_T = TypeVar("_T")


class Problems:
    """Collects refusals, so that who corrects one does not meet the next at each start."""

    def __init__(self) -> None:
        """Nothing is wrong yet."""
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Note one."""
        if line not in self._lines:
            self._lines.append(line)

    def or_default(self, instead: _T, make: Callable[..., _T], *args: object) -> _T:
        """What `make` gives of these arguments; `instead`, and a note, where that is refused."""
        try:
            return make(*args)
        except ConfigError as error:
            self.add(str(error))
            return instead

    def raise_if_any(self) -> None:
        """Raise ConfigError with all of them, if there is any."""
        if self._lines:
            raise ConfigError("\n".join(self._lines))
