"""A `[push.verify]` that can never match, or that anybody could satisfy, is refused."""

import re
from typing import Any

import msgspec
import pytest

from processor.signing import SCHEMES, Verify
from processor.signing.verify_rule import ALLOWED_KEYS

PLAIN = {"scheme": "hmac-sha256", "header": "X-Sig"}
PAIRS = {**PLAIN, "format": "t=,v1="}
TIMED = {**PLAIN, "timestamp": "X-Time", "signs": "{timestamp}.{body}"}
HASH = {"scheme": "hash-sha1", "header": "X-Sig"}
FIELD = {"scheme": "hmac-sha1", "field": "signature"}
TOKEN = {"scheme": "token", "header": "X-Token"}
KEYS = {"scheme": "ed25519", "header": "X-Sig", "keys": "https://keys.example/jwks"}
STANDARD = {"scheme": "standard-webhooks"}

NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"scheme": "hmac-md5"}, "known are hmac-sha1, hmac-sha256"),
    ({"scheme": ""}, "unknown scheme"),
    ({"scheme": "hmac-sha256"}, "needs `header` or `field`"),
    ({"scheme": "hash-sha1", "signs": "{body}{secret}"}, "needs `header` or `field`"),
    ({"scheme": "ed25519", "keys": "https://k.example/k"}, "needs `header` or `field`"),
    ({"scheme": "token"}, "needs `header`, `field` or `query`"),
    ({**PLAIN, "field": "signature"}, "in `header` or in `field`; remove one"),
    ({**PLAIN, "header": "X-Sig: "}, "are header names"),
    ({**PLAIN, "timestamp": "X Time", "signs": "{timestamp}.{body}"}, "are header names"),
    ({**PLAIN, "older": ("X Older",)}, "are header names"),
    ({**PLAIN, "older": ("",)}, "former names of `header`"),
    ({**FIELD, "signs": "{field:payload}", "older": ("X-Older",)}, "former names of `header`"),
    ({**PLAIN, "query": "token"}, "hmac-sha256 does not use `query`"),
    ({**PLAIN, "keys": "https://keys.example/jwks"}, "hmac-sha256 does not use `keys`"),
    ({**PLAIN, "sender": "header:X-From"}, "hmac-sha256 does not use `sender`"),
    ({**PLAIN, "raw_secret": True}, "hmac-sha256 does not use `raw_secret`"),
    ({**PLAIN, "encoding": "base32"}, "unknown encoding `base32`; write hex, base64, base64url"),
    ({**PLAIN, "tolerance": "10m"}, "`tolerance` needs a time"),
    ({**PLAIN, "tolerance": "soon"}, "`soon` is not a duration"),
    ({**TIMED, "tolerance": "0s"}, "more than 0"),
    ({**TIMED, "tolerance": float("nan")}, "more than 0"),
    ({**TIMED, "tolerance": float("inf")}, "more than 0"),
    ({**PLAIN, "format": "t=,v1"}, "`t=,v1` is not a format"),
    ({**PLAIN, "format": "t=,v1=,v0="}, "is not a format"),
    ({**PLAIN, "format": "t=,t="}, "two names"),
    ({**PAIRS, "signs": "{body}"}, "the time is not signed"),
    ({**PAIRS, "signs": "{timestamp}.{body}", "timestamp": "X-Time"}, "remove `timestamp`"),
    ({**TIMED, "signs": "{body}"}, "the time is not signed"),
    ({**PLAIN, "signs": "{timestamp}.{body}"}, "name its header in `timestamp`"),
    ({**PLAIN, "signs": "{time}.{body}"}, "`signs` holds `{time}`"),
    ({**PLAIN, "signs": "{body}}"}, "`signs` holds `}`"),
    ({**PLAIN, "signs": "{header:}{body}"}, "`signs` holds `{header:}`"),
    ({**PLAIN, "signs": "{Body}"}, "`signs` holds `{Body}`"),
    ({**PLAIN, "signs": ""}, "any body would be accepted"),
    ({**PLAIN, "signs": "{header:X-Id}"}, "any body would be accepted"),
    ({**PLAIN, "signs": "{header:x-sig}{body}"}, "cannot sign itself"),
    ({**PLAIN, "signs": "{secret}{body}"}, "remove {secret} from `signs`"),
    (HASH, "put {secret} into `signs`"),
    ({**HASH, "signs": "{secret}{body}"}, "must end with {secret}"),
    (FIELD, "cannot sign the body"),
    ({**FIELD, "signs": "{sha256}"}, "cannot sign the body"),
    ({**FIELD, "signs": "{field:signature}"}, "cannot sign the body"),
    ({**STANDARD, "header": "X-Sig"}, "`X-Sig` lacks -signature"),
    ({**STANDARD, "signs": "{sha256}"}, "standard-webhooks does not use `signs`"),
    ({**STANDARD, "timestamp": "X-Time"}, "does not use `timestamp`"),
    ({"scheme": "sns", "header": "X-Sig"}, "sns does not use `header`"),
    ({"scheme": "sns", "keys": "https://keys.example/jwks"}, "sns does not use `keys`"),
    ({**TOKEN, "signs": "{sha256}"}, "token does not use `signs`"),
    ({**TOKEN, "encoding": "base64"}, "token does not use `encoding`"),
    ({**TOKEN, "format": "t=,v1="}, "a token has no pairs"),
    ({"scheme": "token", "query": "token", "format": "Bearer "}, "`format` describes a token in"),
    ({**KEYS, "keys": ""}, "needs `keys`"),
    ({**KEYS, "keys": "http://keys.example/jwks"}, "https://"),
    ({**KEYS, "keys": "https://me:pass@keys.example/jwks"}, "https://"),
    ({**KEYS, "keys": "https://keys.example"}, "https://"),
    ({**KEYS, "sender": "X-From"}, '"header:NAME"'),
    ({**KEYS, "sender": "header:X-From"}, "put {header:X-From} into `signs`"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "why"), NONSENSE)
def test_a_bad_rule_is_refused_with_a_remedy(table: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        Verify(**table)
    with pytest.raises(msgspec.ValidationError, match=re.escape(why)):
        msgspec.convert(table, Verify)


SENSE: list[dict[str, Any]] = [
    PLAIN,
    TIMED,
    {**PLAIN, "format": "sha256=", "encoding": "base64url"},
    {**PLAIN, "format": "ts=;h1=", "signs": "{timestamp}:{body}", "tolerance": "90s"},
    {**PLAIN, "timestamp": "X-Time", "signs": "{header:x-time}{sha256}"},
    {**HASH, "signs": "{body}{secret}"},
    {**FIELD, "signs": "{field:payload}"},
    {**KEYS, "sender": "header:X-From", "signs": "{header:x-from}\n{sha256}"},
    {**TOKEN, "format": "Bearer ", "query": "access_token"},
    {"scheme": "token", "field": "token", "format": "Token "},
    {"scheme": "sns", "tolerance": "65m"},
    {**STANDARD, "header": "svix-signature", "raw_secret": True, "tolerance": "1h"},
]


@pytest.mark.parametrize("table", SENSE)
def test_a_good_rule_is_read_from_toml(table: dict[str, Any]) -> None:
    assert msgspec.convert(table, Verify) == Verify(**table)


def test_a_tolerance_is_kept_as_seconds() -> None:
    assert Verify(**STANDARD).tolerance == 300.0
    assert Verify(**STANDARD, tolerance="65m").tolerance == 3900.0


def test_every_scheme_lists_its_keys() -> None:
    assert list(ALLOWED_KEYS) == list(SCHEMES)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="prefix"):
        msgspec.convert({**PLAIN, "prefix": "sha256="}, Verify)
