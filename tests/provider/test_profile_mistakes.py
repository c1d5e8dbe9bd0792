"""An error in a profile is reported with its line, its key and a remedy."""

import re

import pytest

from processor.errors import ConfigError
from processor.provider import parse
from processor.provider.parse_profile import decode_profile

GOOD = """\
base_url = "https://api.example.com"
[push]
id = "/id"
status = "/status"
error = { code = "/code" }
[push.verify]
scheme = "hmac-sha256"
header = "X-Signature"
[poll]
request = "GET /jobs/{id}"
status = "/status"
every = ["2s", "30s"]
[states]
done = "succeeded"
[register]
paste = "Push to {url}."
"""
LISTED = '[poll]\nid = "/id"\nlist = {{ {}, each = "/data" }}\n'
MISTAKES = [
    ("https://api", "ftp://api", 1, "base_url: `ftp://api.example.com` is not a base URL"),
    (
        "https://api.example.com",
        "https://",
        1,
        "write https://HOST, with a path if the API has one",
    ),
    ("https://api.example.com", "", 1, "base_url: `` is not a base URL"),
    ("https://api.example.com", "https://h:x", 1, "base_url: `https://h:x` is not a base URL"),
    ("https://api.example.com", "https://h?a=b", 1, "base_url: `https://h?a=b` is not a base URL"),
    (
        'status = "/status"',
        'status = ["/s", "code"]',
        4,
        "[push] status: only a poll response has a `code`",
    ),
    (
        'error = { code = "/code"',
        'error = { code = "code"',
        5,
        "[push] error.code: only a poll response has a `code`",
    ),
    (
        "[push]\n",
        '[push]\nabout = { "code" = 200 }\n',
        3,
        "[push] about: only a poll response has a `code`",
    ),
    ("[push]\n", '[push]\neach = "/jobs/*"\n', 3, "name one element, such as `/jobs/0`"),
    (
        'id = "/id"',
        'id = "/jobs/*/id"',
        3,
        "[push] id: `/jobs/*/id`: `*` is allowed in conditions only",
    ),
    (
        'id = "/id"',
        'id = ""',
        3,
        '[push] id: "" is the whole document; name a value in it, such as',
    ),
    ('id = "/id"', 'id = "/id"\nevent_id = ["/event", ""]', 4, '[push] event_id: "" is the whole'),
    ('status = "/status"\nev', 'status = ""\nev', 11, '[poll] status: "" is the whole document'),
    (
        'id = "/id"',
        'di = "/id"',
        3,
        "status, time, answer, decode, each, echo, largest, lenient, trust, verify",
    ),
    (
        "header =",
        "heder =",
        8,
        "[push.verify] unknown key `heder`; it takes encoding, field, format",
    ),
    ("{ code", "{ kode", 5, "[push.error] unknown key `kode`; it takes code, message"),
    ("[poll]\n", '[poll]\nprogress = "/p"\n', 10, 'write { at = "/percent", of = 100 }'),
    ("[poll]\n", '[poll]\nprogress = { at = "/p", off = 1 }\n', 10, "[poll.progress] unknown key"),
    ("[poll]\n", '[poll]\ncounts = { all = "/n" }\n', 10, "[poll.counts] unknown key `all`; it"),
    ("[poll]\n", '[poll]\nhint = { unit = "s" }\n', 10, "[poll.hint] `at` is missing; add it"),
    ("[poll]\n", '[poll]\ngone = "yes"\n', 10, "[poll] `gone` holds a text; write true"),
    (
        "[poll]\n",
        LISTED.format('request = "GET /jobs"').replace('id = "/id"\n', ""),
        10,
        '`id` is missing; [poll.list] needs it, such as id = "/id"',
    ),
    ("[poll]\n", '[poll]\nlist = { request = "GET /jobs" }\n', 10, "[poll.list] `each` is missing"),
    (
        "[poll]\n",
        '[poll]\nlist = "GET /jobs"\n',
        10,
        "`list` holds a text; write a table, [poll.list]",
    ),
    ("[poll]\n", LISTED.format('requests = "GET /jobs"'), 11, "did you mean `request`?"),
    ("[poll]\n", LISTED.format('request = "POST /jobs"'), 11, "`POST /jobs` is not a request"),
    ("[poll]\n", LISTED.format('request = "GET /jobs?{ids}"'), 11, "how many jobs {ids} may name"),
    ("[poll]\n", LISTED.format('request = "GET /jobs", most = 9'), 11, "`most` is how many jobs"),
    (
        "[poll]\n",
        LISTED.format('request = "GET /a", more = "GET /b", most = 9'),
        11,
        "`more` is for the next page of a list; write {page} or {last} in it",
    ),
    ("[poll]\n", LISTED.format('request = "GET /a/{last}"'), 11, "write {last} in `more`"),
    (
        "[poll]\n",
        LISTED.format('request = "GET /jobs/{id}"'),
        11,
        "request: `{id}` is not filled in for many jobs at once; write {ids}, {page}, {last}, or",
    ),
    ("[poll]\n", LISTED.format('request = "GET {url}"'), 11, "`{url}` is not filled in for many"),
    (
        "[poll]\n",
        LISTED.format('request = "GET /jobs"').replace("/data", "/*/data"),
        11,
        "[poll] list.each: `/*/data`",
    ),
    (
        "[poll]\n",
        LISTED.format('request = "GET /jobs"').replace('"/id"', '["/id", "header:x-id"]'),
        10,
        "id: `header:x-id` is the same for all jobs of [poll.list]; write a JSON pointer",
    ),
    ("[poll]\n", "[poll]\nreads = 200\n", 10, "[poll] `reads` holds a number; write [200, 409]"),
    (
        "[push]\n",
        '[push]\necho = { at = "/c", to = 1 }\n',
        3,
        "[push.echo] unknown key `to`; it ta",
    ),
    (
        "[push]\n",
        '[push]\ntrust = "believe"\n',
        3,
        'cannot be \'believe\'; write "event" or "refetch"',
    ),
    ('request = "GET /jobs/{id}"\n', "", 9, '`request` is missing; add it, such as request = "GET'),
    ('["2s", "30s"]', '["30s", "2s"]', 12, 'is reversed: [first, longest]; write ["2s", "30s"]'),
    ('["2s", "30s"]', '["2s"]', 12, '`every` takes 2 values, not 1; write ["2s", "30s"]'),
    ('["2s", "30s"]', '"2s"', 12, '`every` holds a text; write ["2s", "30s"]'),
    ("[push]\n", 'checked = "soon"\n[push]\n', 2, "`checked` is not a date; write 2026-11-22"),
    (
        "[push]\n",
        "checked = 2026-13-01\n[push]\n",
        2,
        "`checked` is not a date; write it without quo",
    ),
    ("[states]", "[poll]\nid = 1\n[states]", 13, "[poll] is a duplicate table; move its keys"),
    ("[states]", "[push.verify]\n[states]", 13, "[push.verify] is a duplicate table"),
    ('id = "/id"', 'id = "/id"\nid = "/id"', 4, "is already set above; keep one of them"),
    ('"/code" }', '"/code", code = "/c" }', 5, "`code` is set twice in one table"),
    (
        "[states]",
        '[kinds.a.push]\nid = "/a"\nstatus = "/s"\neach = "/x"\n[states]',
        16,
        "[kinds.a.push] `each` is shared by all kinds; move it to [push]",
    ),
    (
        'paste = "Push to {url}."',
        'update = "PUT /hook"\n[register.body]\nurl = "{where}"',
        17,
        "[register] `body` holds braces other",
    ),
    ('paste = "Push to {url}."', 'paste = "x"\nurl = "/*/url"', 17, "[register] url: `/*/url`"),
]


@pytest.mark.parametrize(("right", "wrong", "line", "says"), MISTAKES)
def test_an_error_names_its_line_and_remedy(right: str, wrong: str, line: int, says: str):
    assert right in GOOD
    with pytest.raises(ConfigError) as refusal:
        parse("acme", GOOD.replace(right, wrong, 1))
    message = str(refusal.value)
    assert re.match(rf"providers/acme\.toml:{line}: ", message), message
    assert says in message
    assert "\n" not in message
    assert "Expected `" not in message


def test_a_byte_order_mark_is_skipped():
    assert parse("acme", "\ufeff" + GOOD).base_url == "https://api.example.com"
    assert decode_profile(b"\xef\xbb\xbfa = 1", "f") == "a = 1"


def test_text_that_is_not_utf8_is_refused_with_its_line():
    with pytest.raises(ConfigError, match="f:2: is not UTF-8; save the file as UTF-8"):
        decode_profile(b"a = 1\nb = '\xe9'\n", "f")


@pytest.mark.parametrize(
    "more",
    [
        'status = [{ is = "done", if = { "/parts/*/ok" = true } }, "code"]',
        'status = "/status"\nroot = ["/job", ""]\nthrottled = { "code" = 403 }\nresult = ""',
        'status = "/status"\nprogress = { at = "/p", of = "/n" }\nparams = { a = "header:X-A" }',
    ],
)
def test_valid_pointers_are_accepted(more: str):
    text = GOOD.replace('status = "/status"\nevery', more + "\nevery")
    assert more in text
    parse("acme", text)
