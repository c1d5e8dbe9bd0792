"""Which of our errors stands for an error of Redis, redis-py or the network."""

import re

from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from processor.errors import (
    Overloaded,
    RingbackError,
    StoreUnavailable,
    WrongCredentials,
    WrongRedisUrl,
)
from processor.store.refusals import refusal

TRANSIENT = (ReadOnlyError, ClusterDownError)
TRANSIENT_WORDS = re.compile(r"(MISCONF|BUSY|NOREPLICAS)\b")
"""Errors of a Redis that cannot serve now: by class, or by the first word if redis-py has no class.
Any other refusal is an internal error."""

URL_ERRORS = {
    "DB index is out of range": "name a database below its `databases`",
    "invalid DB index": "name a database by its number",
    "SELECT is not allowed in cluster mode": "Redis Cluster is not supported: use one Redis",
    "Client names cannot contain": "leave client_name out",
}
"""How Redis refuses a connection because of REDIS_URL, and the remedy."""

OUT_OF_MEMORY = (
    "Redis is out of memory: accepted work continues, and no more is accepted. Raise maxmemory, or "
    "wait until waiting deliveries are made"
)
TOO_MANY_CLIENTS = "max number of clients"  # Redis' words to a new client


def error_of(error: Exception, url: str) -> RingbackError | None:
    """Our error for an error of the Redis at a URL; None for a call that is wrong in itself."""
    if isinstance(error, OutOfMemoryError):  # a Redis without memory still reads and deletes
        return Overloaded(OUT_OF_MEMORY)
    if wrong := _wrong_url(error):
        return wrong
    if isinstance(error, ResponseError) and not _is_transient(error):
        return refusal(error)
    return StoreUnavailable(unavailable_reason(url, error))


def unavailable_reason(url: str, error: BaseException) -> str:
    """Why Redis at a URL cannot be used now, for people."""
    place = url.rsplit("@", 1)[-1].partition("?")[0]  # never the password
    words = _words(error)
    answered = isinstance(error, ResponseError) or words.startswith(TOO_MANY_CLIENTS)
    return f"Redis at {place} {'cannot serve' if answered else 'does not answer'}: {words}"


def _is_transient(error: ResponseError) -> bool:
    return isinstance(error, TRANSIENT) or bool(TRANSIENT_WORDS.match(_words(error)))


def _wrong_url(error: BaseException) -> WrongRedisUrl | None:
    """The error if Redis refuses a connection because of REDIS_URL."""
    words = _words(error)
    if isinstance(error, AuthenticationError) or isinstance(error.__cause__, AuthenticationError):
        return WrongCredentials(f"{words}: correct the user or password")
    remedy = next((URL_ERRORS[start] for start in URL_ERRORS if words.startswith(start)), None)
    return WrongRedisUrl(f"{words}: {remedy}") if remedy else None


def _words(error: BaseException) -> str:
    """Redis' own words: for a pipeline, redis-py adds the command with all that it writes."""
    return str(error).rpartition("caused error: ")[2].strip("()',") or type(error).__name__
