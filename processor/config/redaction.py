"""What providers said, without the secrets that they may have repeated."""

import base64
from collections.abc import Iterator
from urllib.parse import quote

from processor.config import Source
from processor.config.secrets import MASK


def masked(source: Source, text: str) -> str:
    """The text with every way masked in which the source's secrets may stand there."""
    for secret in _spellings(source):
        text = text.replace(secret, MASK)
    return text


def _spellings(source: Source) -> Iterator[str]:
    for secret in filter(None, (*source.secrets, source.account_now().token)):
        plain = secret.encode(errors="surrogateescape")
        yield from (secret, quote(secret, safe=""), base64.b64encode(plain).decode())
        yield secret.replace("/", "\\/")
