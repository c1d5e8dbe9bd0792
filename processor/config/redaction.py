"""Redaction: removes a source's secrets from what its provider sent, which may repeat them."""

import base64
from collections.abc import Iterator
from urllib.parse import quote

from processor.config import Source
from processor.config.secrets import MASK


def redact(source: Source, text: str) -> str:
    """The text with the source's secrets masked, in every encoding in which they may appear."""
    for secret in _encodings(source):
        text = text.replace(secret, MASK)
    return text


def _encodings(source: Source) -> Iterator[str]:
    for secret in filter(None, (*source.secrets, *source.known_tokens())):
        plain = secret.encode(errors="surrogateescape")
        yield from (secret, quote(secret, safe=""), base64.b64encode(plain).decode())
        yield secret.replace("/", "\\/")
