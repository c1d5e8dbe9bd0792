"""Weak Ed25519 public keys, the points of small order: anybody can make a signature for them.

There are eight such points; with the encodings that RFC 8032 forbids, fourteen byte strings. The
list is libsodium's (`ge25519_has_small_order` in `ed25519_ref10.c`), in the order of y.
"""

_Y = tuple(
    map(
        bytes.fromhex,
        (
            "0000000000000000000000000000000000000000000000000000000000000000",  # order 4
            "0100000000000000000000000000000000000000000000000000000000000000",  # order 1
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",  # order 8
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",  # order 8
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # p - 1: order 2
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # p: 0 again
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # p + 1: 1 again
        ),
    )
)
_SIGN = 0x80  # the sign of x, in the last byte


def is_weak(key: bytes) -> bool:
    """Whether signatures for this 32-byte key can be made without a private key."""
    return key[:-1] + bytes([key[-1] & ~_SIGN]) in _Y
