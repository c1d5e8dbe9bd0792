"""What a token command may print, and how long its token lasts."""

import json

import pytest

from processor.errors import ConfigError
from processor.tokens.printed_token import BARE_LASTS, PrintedToken, read_token

NOW = 1_795_953_600.0  # 2026-11-29T12:00:00Z
HUSH = "hush-hush"


@pytest.mark.parametrize(
    ("output", "ends"),
    [
        (HUSH, BARE_LASTS),
        (f" {HUSH}\r\n\n", BARE_LASTS),
        ({"token": HUSH}, BARE_LASTS),
        ({"token": HUSH, "expires_in": 3600}, 3600),
        ({"token": HUSH, "expires_in": "3599.5"}, 3599.5),
        ({"token": HUSH, "expires_in": None, "expires_at": None}, BARE_LASTS),
        ({"token": HUSH, "expires_at": "2026-11-29T13:00:00Z"}, 3600),
        ({"token": HUSH, "expires_at": "2026-11-29T13:00:00.123456789Z"}, 3600.123456),
        ({"token": HUSH, "expires_at": "2026-11-29 14:00:00+01:00"}, 3600),
        ({"token": HUSH, "expires_at": "2026-11-29t12:00:01z", "expires_in": 9}, 1),
        ({"token": HUSH, "expires_at": "2026-11-29T13:00:00Z", "permissions": {}}, 3600),
    ],
)
def test_a_token_and_its_end_are_read(output: object, ends: float):
    text = output if isinstance(output, str) else f"\n{json.dumps(output, indent=1)}\n"
    assert read_token(text.encode(), NOW) == PrintedToken(HUSH, pytest.approx(NOW + ends))


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (b"", "it printed no token"),
        (b" \r\n", "it printed no token"),
        (b"hush-hush\xff", "what it printed is not UTF-8"),
        (b'{"token": "hush-hush"', "the JSON that it printed cannot be read"),
        (b"{hush-hush}", "the JSON that it printed cannot be read"),
        (b"{}", 'has no text as "token"'),
        (b'{"token": ["hush-hush"]}', 'has no text as "token"'),
        (b'{"token": ""}', 'has no text as "token"'),
        (
            b'{"token": "hush-hush", "expires_in": "soon"}',
            '"expires_in" that it printed is not a n',
        ),
        (b'{"token": "hush-hush", "expires_in": true}', '"expires_in" that it printed is not a n'),
        (b'{"token": "hush-hush", "expires_in": 0}', "has expired"),
        (b'{"token": "hush-hush", "expires_in": -5}', "has expired"),
        (b'{"token": "hush-hush", "expires_at": "2026-11-29T11:59:59Z"}', "has expired; check the"),
        (b'{"token": "hush-hush", "expires_at": "2026-11-29T13:00:00"}', "is not a time such as"),
        (b'{"token": "hush-hush", "expires_at": "2026-13-29T13:00:00Z"}', "is not a time such as"),
        (b'{"token": "hush-hush", "expires_at": 1795957200}', "is not a time such as"),
    ],
)
def test_what_cannot_be_used_is_an_error_that_does_not_show_it(output: bytes, says: str):
    with pytest.raises(ConfigError) as refusal:
        read_token(output, NOW)
    assert says in str(refusal.value)
    assert HUSH not in str(refusal.value)
