"""A token from a command, which runs when the token is first needed, and again before it expires."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from processor.errors import ConfigError
from processor.shared_calls import SharedCalls
from processor.tokens.printed_token import PrintedToken, read_token
from processor.tokens.run_command import CommandResult, run_command

RENEWED_AT = 0.8  # part of a token's life after which the command runs again
RERUN_PAUSE = 60.0  # seconds between runs because of a refusal, or of a failure that can wait
MAX_SHOWN = 200  # bytes of standard error in a message
NEVER = float("-inf")

log = structlog.get_logger()


class CommandToken:
    """The token that a command prints; all polls of a process share one run."""

    def __init__(
        self,
        at: str,
        command: Sequence[str],
        check: Callable[[str], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`at` is the key for messages; `check` raises ConfigError for a token that is no use."""
        self._at, self._command, self._check, self._clock = at, command, check, clock
        self.credential = f"exec:{json.dumps(command)}".encode()
        self._runs: SharedCalls[str, None] = SharedCalls()
        self._token = PrintedToken("", NEVER)
        self._renew_at = NEVER
        self._ran_at = NEVER  # when the last run ended
        self._known: deque[str] = deque(maxlen=2)  # answers may still repeat the one before

    async def now(self) -> str:
        """The present token; ConfigError with the command's exit code and standard error."""
        if self._clock() >= self._renew_at:
            await self._runs.run(self._at, self._renew)
        return self._token.text

    def refused(self, token: str) -> bool:
        """The provider refused a token: the command runs again, at most once a minute."""
        if token == self._token.text and self._token.ends > NEVER:
            if 0 <= self._clock() - self._ran_at < RERUN_PAUSE:  # below 0: the clock was set back
                return False
            self._token, self._renew_at = PrintedToken(token, NEVER), NEVER
        return True

    def known(self) -> Sequence[str]:
        """The present token and the one before."""
        return tuple(self._known)

    async def _renew(self) -> None:
        """Run the command; if that fails, the present token is used until it ends."""
        began = self._clock()
        try:
            token = self._read(await asyncio.to_thread(run_command, self._command), began)
            self._check(token.text)
        except ConfigError as error:
            reason = f"{self._at}: {self._command[0]}: {error}"
            if self._clock() >= self._token.ends:
                raise ConfigError(reason) from None
            log.warning("token_not_renewed", reason=reason)
            self._renew_at = min(self._clock() + RERUN_PAUSE, self._token.ends)
        else:
            self._token, self._renew_at = token, began + RENEWED_AT * (token.ends - began)
            if token.text not in self._known:
                self._known.append(token.text)
        finally:
            self._ran_at = self._clock()

    def _read(self, result: CommandResult, began: float) -> PrintedToken:
        if result.code:
            how = f"exit code {result.code}" if result.code > 0 else f"signal {-result.code}"
            raise ConfigError(f"it ended with {how}: {self._shown(result.error)}")
        return read_token(result.output, began)

    def _shown(self, error: bytes) -> str:
        """The beginning of a standard error as one line, without the tokens that we know."""
        for token in self._known:
            error = error.replace(token.encode(), b"********")
        text = error[:MAX_SHOWN].decode("utf-8", "replace")
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return line or "nothing on standard error"
