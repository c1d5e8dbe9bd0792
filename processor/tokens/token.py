"""What can be asked of a token that is renewed while Ringback runs."""

from collections.abc import Sequence
from typing import Protocol


class RenewedToken(Protocol):
    """The token of a source's account, from a file or a command."""

    @property
    def credential(self) -> bytes:
        """Where it comes from: the same after each renewal."""

    async def now(self) -> str:
        """The present token; ConfigError with the reason if there is none."""

    def refused(self, token: str) -> bool:
        """The provider refused this token: whether `now` will return another one."""

    def known(self) -> Sequence[str]:
        """The tokens that an answer of the provider may repeat; nothing is renewed."""
