"""Error messages name the line of the key."""

import tomllib

import pytest

from processor import provider
from processor.errors import ConfigError
from processor.provider.toml_lines import line_of, line_of_error

FILE = '''\
docs = "x"
inferred = """
[push]
id = "not here"
"""
# id = "nor here"
push.answer = 200

[push]  # a comment
id = "/id"
'error' . code = "/code"
status = [
    { is = "done", if = { "/status" = "ended" } },
    "/status",
]
progress = { at = "/percent", of = 100 }

[ push . verify ]
scheme = "hmac-sha256"

[kinds.media.push]
id = "/media"

[kinds."odd".states]
done = "succeeded"
"media.ready" = "succeeded"
202 = "running"

[[kinds.media.list]]
id = "/last"
'''


@pytest.mark.parametrize(
    ("table", "key", "line"),
    [
        ("", "docs", 1),
        ("", "inferred", 2),
        ("", "nowhere", 1),
        ("push", "answer", 7),
        ("push", "", 9),
        ("push", "id", 10),
        ("push", "error.code", 11),
        ("push", "status[0].if", 12),
        ("push", "progress.of", 16),
        ("push", "verify.scheme", 19),
        ("push.verify", "header", 18),
        ("push", "nowhere", 9),
        ("kinds.media.push", "id", 22),
        ("kinds.media.push", "missing", 21),
        ("kinds.odd.states", "media.ready", 26),
        ("kinds.odd.states", "202", 27),
        ("kinds.media.list", "id", 30),
        ("poll", "every", 1),
    ],
)
def test_the_line_of_a_key_or_its_table_is_found(table: str, key: str, line: int):
    assert line_of(FILE, table, key) == line


def test_lines_are_counted_as_in_toml():
    text = 'docs = "a\u2028b"\r\nchecked = 1\r\n'
    assert line_of(text, "", "checked") == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = \n", 2),
        ("a = 1\na = 2\n", 2),
        ("a = 1\n\n[b\n", 3),
        ('a = """\n\n', 1),
        ("a = [\n1,\n", 2),
    ],
)
def test_a_toml_error_has_a_line_too(text: str, line: int):
    with pytest.raises(tomllib.TOMLDecodeError) as refused:
        tomllib.loads(text)
    assert line_of_error(text, refused.value) == line


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("id = 7", 3),
        ('id = "/id"\ncolour = 1', 4),
        ('id = "/id"\nprogress = { at = "/p", of = 0 }', 4),
        ('id = "/id"\nerror = { text = "/e" }', 4),
        ('id = "/id"\nstatus = "/s"\n[states]\na = "failed"\n[push.verify]\nscheme = "rot13"', 7),
        ('id = "/id"\nstatus = "/s"\n[states]\ndone = "done"', 6),
        ('id = "/id"\nstatus = "/s"\n[states]\n"job.done" = "done"', 6),
        ('id = "/id"\nstatus = "/s"\n[states]\na = "failed"\n[kinds.Big.poll]', 7),
        ('id = "/id"\nstatus = { is = "b", if = {} }\n[states]\na = "failed"', 4),
    ],
)
def test_a_refused_profile_names_the_line_of_the_error(wrong: str, line: int):
    with pytest.raises(ConfigError) as refused:
        provider.parse("acme", f'docs = "x"\n[push]\n{wrong}\n', where="acme.toml")
    assert str(refused.value).startswith(f"acme.toml:{line}: ")
