"""Weak public keys, for which anybody can sign, are refused in the configuration."""

import base64
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from processor.config import load
from processor.errors import ConfigError
from processor.signing import Verify, private_text, public_text, secret_key, signing_key
from processor.signing.schemes.ed25519 import is_signed_by

STANDARD = Verify("standard-webhooks")
FORGED = bytes([1]) + bytes(63)  # the neutral point and 0: it takes no private key to write that
MESSAGES = [b"%d" % number for number in range(100)]

P = 2**255 - 19  # the field and the curve: RFC 8032, section 5.1
D = -121665 * pow(121666, -1, P) % P


def roots(square: int) -> list[int]:
    """The square roots of a number in the field, if it has any."""
    some = pow(square, (P + 3) // 8, P)
    tried = (some, some * pow(2, (P - 1) // 4, P) % P)
    return [root for one in tried for root in (one, P - one) if one * one % P == square % P]


# What doubled has y = 0, so has x² = -y², and with the curve's equation d y⁴ + 2 y² = 1.
EIGHTH, _ = (y for r in roots(1 + D) for y in roots((r - 1) * pow(D, -1, P)))
YS = [0, 1, EIGHTH, P - EIGHTH, P - 1, P, P + 1]  # the last two are 0 and 1 once more
POINTS = [(y | sign << 255).to_bytes(32, "little") for y in YS for sign in (0, 1)]


def text(point: bytes) -> str:
    return "whpk_" + base64.b64encode(point).decode()


@pytest.mark.parametrize("point", POINTS, ids=bytes.hex)
def test_anybody_can_sign_for_a_weak_key(point: bytes) -> None:
    """For one message in eight at least: so the refusal is of what is dangerous."""
    assert sum(is_signed_by(point, FORGED, message) for message in MESSAGES) > len(MESSAGES) / 20


@pytest.mark.parametrize("point", POINTS, ids=bytes.hex)
def test_a_weak_key_is_refused_with_its_place_and_remedy(tmp_path: Path, point: bytes) -> None:
    file = tmp_path / "ringback.toml"
    good = public_text(signing_key(private_text(bytes(32))))
    table = f'[sources.mine]\nprovider = "standard"\nwebhook_secret = ["{good}", "%s"]\n'
    file.write_text(table % text(point))
    with pytest.raises(ConfigError) as refusal:
        load(file, {})
    message = str(refusal.value)
    assert message.startswith(
        f"{file}:3: sources.mine.webhook_secret: this public key is weak (a point of"
    )
    assert "copy the key again from the provider" in message
    assert "\n" not in message
    assert text(point) not in message
    file.write_text(table % good)
    assert len(load(file, {}).sources["mine"].keys) == 2


@given(seed=st.binary(min_size=32, max_size=32))
def test_a_generated_key_is_accepted(seed: bytes) -> None:
    assert secret_key(STANDARD, public_text(signing_key(private_text(seed)))).public
