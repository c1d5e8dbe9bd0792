"""Each problem in ringback.toml or the environment is one line with file, line, key and remedy."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from processor.config import Settings, load, require_keys
from processor.errors import ConfigError
from processor.service.runtime.process import warn_about_settings

GOOD = """\
[sources.video]
provider = "wistia"
token = "t"
webhook_secret = "s"

[subscriptions.billing]
url = "https://billing.example.com/hooks"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""
HUSH = "hush-hush"  # a secret, which no message shows
SOURCE = 'provider = "wistia"'


def written(folder: Path, text: str, **environ: str) -> Settings:
    file = folder / "ringback.toml"
    file.write_text(text)
    return load(file, environ)


def lines_of(folder: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        written(folder, text, **environ)
    assert HUSH not in str(refusal.value)
    return str(refusal.value).splitlines()


@pytest.mark.parametrize(
    ("right", "wrong", "line", "says"),
    [
        (SOURCE, f'{SOURCE}\nproviders = "x"', 3, "sources.video.providers: unknown key `provid"),
        (SOURCE, f'{SOURCE}\nproviders = "x"', 3, "; did you mean `provider`?"),
        (SOURCE, f'{SOURCE}\nWebhook_Secret = "x"', 3, "; did you mean `webhook_secret`?"),
        (SOURCE, f"{SOURCE}\ndeadline = 72", 3, 'sources.video.deadline: `deadline` holds a number; write "72h"'),
        (SOURCE, f"{SOURCE}\ndeadline = 1979-05-27", 3, "sources.video.deadline: `deadline` holds"),
        (SOURCE, f'{SOURCE}\nparams = "x"', 3, 'sources.video.params: `params` holds a text; write { account = "…" }'),
        (SOURCE, f"{SOURCE}\nparams = {{ account = 5 }}", 3, "sources.video.params: `params` holds a number"),
        (SOURCE, f'{SOURCE}\nsenders = "x"', 3, "sources.video.senders: `senders` holds a text; write ["),
        (SOURCE, f"{SOURCE}\nsenders = [5]", 3, "sources.video.senders: `senders` holds a number; write ["),
        (SOURCE, f'{SOURCE}\nmirror_root = "yes"', 3, "sources.video.mirror_root: `mirror_root` holds a text; write true"),
        (SOURCE, "provider = true", 2, 'sources.video.provider: `provider` holds true or false; write "wistia"'),
        (SOURCE, "", 1, 'sources.video: `provider` is missing; add it, such as provider = "wistia"'),
        ('token = "t"', "token = 5", 3, 'sources.video.token: `token` holds a number; write "env:'),
        ('secret = "whsec', 'metadata = ["exec", "a"]\nsecret = "whsec', 8, "subscriptions.billing.metadata: `metadata` holds a list"),
        ('url = "https', 'urls = "https', 7, "subscriptions.billing.urls: unknown key `urls`; it takes"),
        ('secret = "whsec', 'headers = { X = 5 }\nsecret = "whsec', 8, "subscriptions.billing.headers: `headers`"),
        ('secret = "whsec', 'concurrency = "9"\nsecret = "whsec', 8, "`concurrency` holds a text; write 16"),
        ('secret = "whsec', 'events = "job"\nsecret = "whsec', 8, '`events` holds a text; write ["job.comp'),
        ("[sources.video]", "[source.video]", 1, " source: unknown key `source`; it takes egress, providers, sources"),
        ("[sources.video]", "[source.video]", 1, "; did you mean `sources`?"),
        ("[sources.video]", "[[sources]]", 1, " sources: `sources` holds a list; write tables, [sources.NAME]"),
        ("[sources.video]", "[sources]", 2, "sources.provider: this is not a table; put the keys of each under"),
        ("[sources.video]", "sources = 5\n[egress]", 1, "`sources` holds a number; write tables"),
        ("[sources.video]", "providers = 5\n[sources.video]", 1, 'providers: `providers` holds a number; write "./providers"'),
        ("[sources.video]", '[egress]\nallow = "*"\n[sources.video]', 2, 'egress.allow: `allow` holds a text; write ["10.20.0.0/16"]'),
        ("[sources.video]", "[egress]\nalow = []\n[sources.video]", 2, "egress.alow: unknown key `alow`; it takes allow; did you mean `allow`?"),
        (SOURCE, "provider = wistia", 2, "is not TOML"),
        (SOURCE, f"{SOURCE}\n{SOURCE}", 3, "is already set above"),
        ("[subscriptions.billing]", "[sources.video]", 6, "[sources.video] is a duplicate table"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_reported_with_line_and_key(
    tmp_path: Path, right: str, wrong: str, line: int, says: str
) -> None:
    assert right in GOOD
    lines = lines_of(tmp_path, GOOD.replace(right, wrong, 1))
    place = re.escape(str(tmp_path / "ringback.toml"))
    assert any(re.match(rf"{place}:{line}: ", one) and says in one for one in lines), lines
    for one in lines:
        assert "`$" not in one
        assert "Expected" not in one


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        (SOURCE, 'provider = "wista"', "sources.video.provider: no provider 'wista'; there are"),
        (SOURCE, 'provider = "wista"', "; did you mean `wistia`?"),
        (SOURCE, f'{SOURCE}\ntrust = "refetsch"', "sources.video.trust: 'refetsch' is not known; there is event, refetch; did you mean `refetch`?"),
        (SOURCE, f"{SOURCE}\ncancel = true", "sources.video.cancel: wistia has no call that cancels a job; remove the key"),
        (SOURCE, f'{SOURCE}\ndeadline = "3 days"', "sources.video.deadline: `3 days` is not a duration; write it as"),
        (SOURCE, f'{SOURCE}\ndeadline = "3651d"', "sources.video.deadline: 3651d is out of bounds; write 0.001s to 3650d"),
        (SOURCE, f'{SOURCE}\ndeadline = "0s"', "sources.video.deadline: 0s is out of bounds"),
        (SOURCE, f'{SOURCE}\nlargest = "20 MB"', "sources.video.largest: `20 MB` is not a size; write it as"),
        (SOURCE, f'{SOURCE}\nbase_url = "http://a b/"', "sources.video.base_url: 'http://a b/' is not a URL; write"),
        (SOURCE, f'{SOURCE}\nbase_url = "http://me:{HUSH}@a b/"', "sources.video.base_url: 'http://********@a b/' is not a URL"),
        (SOURCE, f'{SOURCE}\nstatus_url = "http://me:{HUSH}@a/b"', "sources.video.status_url: `http://********@a/b` must contain"),
        ('url = "https', 'url = "ftp', "subscriptions.billing.url: 'ftp://billing.example.com/hooks' is not a URL; write"),
        ('token = "t"', 'token = "env:NO"', "sources.video.token: none of env:NO is set; set one, or remove the key"),
        ('token = "t"', 'token = "env:BLANK"', "sources.video.token: none of env:BLANK is set"),
        ('token = "t"', 'token = ""', "sources.video.token: none of ******** is set"),
        ('token = "t"', 'token = ["a", "b"]', 'sources.video.token: a list is a command that prints the token; write ["exec", "PROGRAM"'),
        ('token = "t"', "token = []", "sources.video.token: a list is a command"),
        ('token = "t"', 'token = ["exec"]', "sources.video.token: a list is a command"),
        ('token = "t"', 'token = ["exec", ""]', "sources.video.token: a list is a command"),
        ('token = "t"', 'token = ["exec", "a", "b\\u0000"]', "sources.video.token: a word of a command cannot hold"),
        ('token = "t"', f'token = "{HUSH}\\n{HUSH}"', "sources.video.token: it holds a line break or another control character, which no header can carry; remove it"),
        ('token = "t"', 'token = "env:TWO"', "sources.video.token: it holds a line break"),
        ('token = "t"', f'token = "{HUSH}\\u20ac"', "sources.video.token: it holds a character that no header can carry"),
        ('webhook_secret = "s"', 'webhook_secret = ["env:NO", "env:NOT"]', "sources.video.webhook_secret: none of env:NO, env:NOT is set"),
        ('secret = "whsec', 'headers = { X = "env:TWO" }\nsecret = "whsec', "subscriptions.billing.headers: the value of 'x' must be printable ASCII"),
        ('secret = "whsec', 'headers = { X = "env:NO" }\nsecret = "whsec', "subscriptions.billing.headers.X: none of env:NO is set"),
        ('secret = "whsec', 'events = []\nsecret = "whsec', "subscriptions.billing.events: the list is empty; name at least one event type"),
        ('secret = "whsec', 'metadata = { a = nan }\nsecret = "whsec', "subscriptions.billing.metadata: it is not JSON: it has a date or nan, which"),
        ('secret = "whsec', 'metadata = { a = [2026-11-22] }\nsecret = "whsec', "subscriptions.billing.metadata: it is not JSON"),
        ('secret = "whsec', f'metadata = {{ a = "{"x" * 8193}" }}\nsecret = "whsec', "subscriptions.billing.metadata: has at most 8192 bytes as JSON; this has 8201"),
        ('secret = "whsec', 'sources = ["vidoe"]\nsecret = "whsec', "'vidoe' is not known; there is video; did you mean `video`?"),
    ],
)  # fmt: skip
def test_an_invalid_value_is_reported_with_its_key(
    tmp_path: Path, right: str, wrong: str, says: str
) -> None:
    assert right in GOOD
    text = GOOD.replace(right, wrong, 1)
    (line,) = lines_of(tmp_path, text, TWO=f"{HUSH}\n{HUSH}", BLANK=" \r\n")
    place = re.match(rf"{re.escape(str(tmp_path / 'ringback.toml'))}:(\d+): (\S+): ", line)
    assert place, line
    assert text.splitlines()[int(place[1]) - 1].startswith(place[2].split(".")[2])
    assert says in line


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "is nested too deeply; write fewer tables inside each"),
        ("a." * 5000 + "b = 1", "subscriptions.billing.metadata: it is not JSON"),
    ],
    ids=["lists", "dotted keys"],
)
def test_a_file_that_is_nested_too_deeply_is_one_line(tmp_path: Path, line: str, says: str) -> None:
    (problem,) = lines_of(tmp_path, f"{GOOD}metadata.{line}\n")
    assert says in problem


def test_a_secret_file_is_named_once_with_the_key_that_names_it(tmp_path: Path) -> None:
    (line,) = lines_of(tmp_path, GOOD.replace('"t"', '"file:nofile"'))
    assert line.count("nofile") == 1
    assert (
        f"sources.video.token: the file {tmp_path / 'nofile'} cannot be read: No such file" in line
    )
    assert "Errno" not in line
    (line,) = lines_of(tmp_path, GOOD.replace('"t"', '"file:."'))
    assert "sources.video.token: " in line
    assert "Is a directory" in line


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('"t"', '"env:A"').replace('"s"', '"env:B"')
    text = text.replace('"https://', '"').replace("whsec_", "env:C#")
    text += 'rate = "often"\n[sources.other]\nprovider = "standard"\nwebhook_secret = "file:D"\n'
    lines = lines_of(tmp_path, text, RINGBACK_API_KEYS="env:E", RINGBACK_LEASE="soon")
    for wanted in ("env:A", "env:B", "env:C", "D cannot be read", "env:E", "billing.url", "often"):
        assert any(wanted in line for line in lines), (wanted, lines)
    assert sum("RINGBACK_LEASE: `soon` is not a duration" in line for line in lines) == 1
    assert len(lines) == 8


def test_wrong_keys_and_wrong_values_are_reported_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('token = "t"', 'tokn = "t"').replace("https://", "ftp://")
    text += 'sources = ["video"]\n[sources.other]\nprovider = "standrad"\n'  # video is no problem
    lines = lines_of(tmp_path, f"[egres]\n{text}")
    keys = [":1: egres: ", ":4: sources.video.tokn: ", ":8: subscriptions.billing.url: "]
    keys += [":12: sources.other.provider: "]
    for key in keys:
        assert sum(key in line for line in lines) == 1, (key, lines)
    assert len(lines) == len(keys), lines


def test_a_missing_folder_of_profiles_is_named_with_its_line(tmp_path: Path) -> None:
    (line,) = lines_of(tmp_path, f'\nproviders = "provs"\n{GOOD}')
    place = f"{tmp_path / 'ringback.toml'}:2: providers: {tmp_path / 'provs'} is not a folder; "
    assert line.startswith(place)


def profile_of(folder: Path, name: str) -> None:
    """A profile in the folder `provs`."""
    (folder / "provs").mkdir()
    text = '[push]\nid = "/id"\nstatus = "/s"\n[states]\ndone = "succeeded"\n'
    (folder / "provs" / f"{name}.toml").write_text(text)


def test_a_key_of_the_top_that_is_wrong_keeps_the_folder_of_profiles(tmp_path: Path) -> None:
    profile_of(tmp_path, "acme")
    text = 'providers = "provs"\nsauces = 1\n[sources.a]\nprovider = "acme"\n'
    (line,) = lines_of(tmp_path, text)
    assert ":2: sauces: unknown key" in line


def test_a_profile_needs_a_name_that_providers_new_allows(tmp_path: Path) -> None:
    profile_of(tmp_path, "My Kiln")
    text = 'providers = "provs"\n[sources.a]\nprovider = "My Kiln"\n'
    (line,) = lines_of(tmp_path, text)
    assert line.startswith("providers/My Kiln.toml: a provider's name has 1 to 63 of a-z 0-9 . _ -")
    written(tmp_path, GOOD)


def test_all_wrong_types_and_variables_are_reported_at_once(tmp_path: Path) -> None:
    text = '[sources.a]\nproviders = 1\ndeadline = 2\n[sources.b]\ntokn = ""\n[subscriptions.c]\n'
    lines = lines_of(tmp_path, text, PORT="http", RINGBACK_SHARDS="0")
    keys = ["sources.a.providers:", "sources.a.deadline:", "sources.a: `provider` is missing"]
    keys += ["sources.b.tokn:", "sources.b: `provider` is missing"]
    keys += ["subscriptions.c: `url` is missing", "subscriptions.c: `secret` is missing"]
    keys += ["PORT: 'http' is not a whole number", "RINGBACK_SHARDS: '0' is not a whole number"]
    for key in keys:
        assert sum(key in line for line in lines) == 1, (key, lines)
    assert len(lines) == len(keys)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "http", "PORT: 'http' is not a whole number from 1 to 65535; write one, such as 8080"),
        ("PORT", "0", "PORT: '0' is not a whole number from 1 to 65535"),
        ("PORT", "65536", "PORT: '65536' is not a whole number from 1 to 65535"),
        ("PORT", "80.5", "PORT: '80.5' is not a whole number"),
        ("PORT", "tcp://10.0.0.1:80", "PORT: 'tcp://10.0.0.1:80' is not a whole number"),
        ("PORT", "9" * 30, "is not a whole number from 1 to 65535"),
        ("RINGBACK_SHARDS", "1025", "RINGBACK_SHARDS: '1025' is not a whole number from 1 to 1024"),
        ("RINGBACK_SHARDS", "-1", "RINGBACK_SHARDS: '-1' is not a whole number from 1 to 1024"),
        ("RINGBACK_KEEP_EVENTS_COUNT", "1M", "RINGBACK_KEEP_EVENTS_COUNT: '1M' is not a whole number from 1000 to 100000000; write one, such as 1000000"),
        ("RINGBACK_KEEP_WAITING", "1", "RINGBACK_KEEP_WAITING: '1' is not a whole number from 1000"),
        ("RINGBACK_LEASE", "30", "RINGBACK_LEASE: `30` is not a duration; write it as"),
        ("RINGBACK_LEASE", "0s", "RINGBACK_LEASE: 0s is out of bounds; write 1s to 1h"),
        ("RINGBACK_LEASE", "2h", "RINGBACK_LEASE: 2h is out of bounds; write 1s to 1h"),
        ("RINGBACK_PUBLIC_URL", "https://[x", "RINGBACK_PUBLIC_URL: 'https://[x' is not a base URL; write it like https://hooks"),
        ("RINGBACK_PUBLIC_URL", "hooks.example.com", "RINGBACK_PUBLIC_URL: 'hooks.example.com' is not a base URL"),
        ("RINGBACK_PUBLIC_URL", "https://:443", "RINGBACK_PUBLIC_URL: 'https://:443' is not a base URL"),
        ("RINGBACK_PUBLIC_URL", "https://h:x", "RINGBACK_PUBLIC_URL: 'https://h:x' is not a base URL"),
        ("RINGBACK_KEEP_JOBS", "1d", "RINGBACK_KEEP_JOBS: 1d is out of bounds; write 5d to 3650d"),
        ("RINGBACK_API_KEYS", "env:NO", "RINGBACK_API_KEYS: none of env:NO is set"),
        ("RINGBACK_API_KEYS", "file:/no/such", "RINGBACK_API_KEYS: the file /no/such cannot be read"),
        ("RINGBACK_API_KEYS", f"a,{HUSH}\n{HUSH}", "RINGBACK_API_KEYS: it holds a line break"),
        ("RINGBACK_API_KEYS", f"{HUSH}\x7f", "RINGBACK_API_KEYS: it holds a line break or another"),
        ("RINGBACK_API_KEYS", f"{HUSH}\u2013", "RINGBACK_API_KEYS: it holds a character that no header"),
        ("RINGBACK_API_KEYS", f"{HUSH}\udcff", "RINGBACK_API_KEYS: it holds a character that no header"),
        ("RINGBACK_CALLBACK_SECRET", HUSH, "RINGBACK_CALLBACK_SECRET: "),
        ("RINGBACK_CALLBACK_SECRET", "file:/no/such", "RINGBACK_CALLBACK_SECRET: the file /no/such"),
        ("RINGBACK_MASTER_KEYS", "file:/no/such", "RINGBACK_MASTER_KEYS: the file /no/such cannot be"),
        ("RINGBACK_CONFIG", "/no/such.toml", "/no/such.toml: cannot be read: No such file"),
    ],
)  # fmt: skip
def test_a_variable_that_cannot_work_is_one_line_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refusal:
        load(None, {name: value})
    message = str(refusal.value)
    assert says in message
    assert "\n" not in message
    assert HUSH not in message


KEY = "k1:" + "A" * 43 + "="


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", " ", "\t", "\u00a0"])
def test_variables_lose_blanks_and_line_ends_as_files_do(tmp_path: Path, end: str) -> None:
    text = GOOD.replace('"t"', '"env:TOKEN"').replace('"s"', '["env:S1", "env:S2"]')
    text += 'headers = { X-Key = "env:HEADER" }\n'
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    given = {
        "TOKEN": "token",
        "S1": "one",
        "S2": "two",
        "HEADER": "value",
        "K": "c",
        "REDIS_URL": "redis://h:1/2",
        "PORT": "81",
        "RINGBACK_HOST": "::1",
        "RINGBACK_API_KEYS": "a, b ,env:K,",
        "RINGBACK_CALLBACK_SECRET": secret,
        "RINGBACK_MASTER_KEYS": KEY,
        "RINGBACK_SECRET_OVERLAP": "1h",
        "RINGBACK_PUBLIC_URL": "https://h",
        "RINGBACK_SHARDS": "2",
        "RINGBACK_LEASE": "5s",
        "RINGBACK_KEEP_SEEN": "2h",
        "RINGBACK_KEEP_WAITING": "1001",
    }
    there = written(tmp_path, text, **{name: f"{end}{v}{end}" for name, v in given.items()})
    assert there.masked() == written(tmp_path, text, **given).masked()
    assert there.subscriptions == written(tmp_path, text, **given).subscriptions
    assert there.api_keys == ("a", "b", "c")
    assert there.sources["video"].secrets == ("one", "two")
    assert there.sources["video"].account.token == "token"
    assert (there.redis_url, there.port) == ("redis://h:1/2", 81)


@pytest.mark.parametrize("name", ["REDIS_URL", "PORT", "RINGBACK_API_KEYS", "RINGBACK_LEASE",
                                  "RINGBACK_PUBLIC_URL", "RINGBACK_CONFIG", "RINGBACK_HOST",
                                  "RINGBACK_CALLBACK_SECRET", "RINGBACK_MASTER_KEYS"])  # fmt: skip
def test_a_blank_variable_counts_as_unset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(None, {name: " \r\n"}) == load(None, {})


async def test_a_renewed_token_that_no_header_can_carry_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old\n")
    source = written(tmp_path, GOOD.replace('"t"', '"file:token"')).sources["video"]
    renewals = (("new\r\n", "new"), ("half\nwritten", "new"), ("newer", "newer"))
    for second, (text, now) in enumerate(renewals):
        (tmp_path / "token").write_text(text)
        os.utime(tmp_path / "token", times=(second, second))
        assert (await source.account_now()).token == now


async def test_a_token_that_was_read_while_it_was_written_is_read_again(tmp_path: Path) -> None:
    """Both steps of writing it, emptying the file and filling it, may have the same time."""
    (tmp_path / "token").write_text("old")
    source = written(tmp_path, GOOD.replace('"t"', '"file:token"')).sources["video"]
    for text, now in (("", "old"), ("new", "new")):
        (tmp_path / "token").write_text(text)
        os.utime(tmp_path / "token", times=(1, 1))
        assert (await source.account_now()).token == now


def test_only_a_token_in_the_file_is_a_command(tmp_path: Path) -> None:
    """A variable, a file and another secret with such a text hold this very text."""
    text = '["exec", "false"]'
    (tmp_path / "token").write_text(text)
    for token in ("env:T", "file:token"):
        found = written(tmp_path, GOOD.replace('"t"', f'"{token}"'), T=text).sources["video"]
        assert found.account.token == text
        assert not found.polled_by_workers_only
    listed = written(tmp_path, GOOD.replace('webhook_secret = "s"', f"webhook_secret = {text}"))
    assert listed.sources["video"].secrets == ("exec", "false")
    assert written(tmp_path, GOOD, RINGBACK_API_KEYS=text).api_keys == ('["exec"', '"false"]')


def test_a_command_is_relative_to_the_file_if_its_name_has_a_slash(tmp_path: Path) -> None:
    for program, found in (("bin/token", tmp_path / "bin/token"), ("token", "token"), ("/a", "/a")):
        source = written(tmp_path, GOOD.replace('"t"', f'["exec", "{program}", "./x"]'))
        credential = source.sources["video"].credential
        assert credential == f'exec:["{found}", "./x"]'.encode()


def test_a_credential_is_the_same_for_the_same_token_and_after_a_renewal(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old\n")
    same = written(tmp_path, GOOD).sources["video"].credential
    assert (
        same == written(tmp_path, GOOD.replace('"t"', '"env:T"'), T="t").sources["video"].credential
    )
    assert same != written(tmp_path, GOOD.replace('"t"', '"u"')).sources["video"].credential
    file = written(tmp_path, GOOD.replace('"t"', '"file:token"')).sources["video"].credential
    (tmp_path / "token").write_text("new\n")
    again = written(tmp_path, GOOD.replace('"t"', '"file:token"')).sources["video"].credential
    assert same != file == again
    assert written(tmp_path, GOOD.replace('token = "t"\n', "")).sources["video"].credential == b""


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("RINGBACK_APIKEYS", "x", "nothing reads it; did you mean RINGBACK_API_KEYS?"),
        ("RINGBACK_KEEP_JOB", "5d", "nothing reads it; did you mean RINGBACK_KEEP_JOBS?"),
        ("ringback_lease", "5d", "nothing reads it; did you mean RINGBACK_LEASE?"),
        ("RINGBACK_PORT", "81", "nothing reads it; did you mean PORT?"),
        ("RINGBACK_REDIS_URL", "x", "nothing reads it; did you mean REDIS_URL?"),
        ("RINGBACK_SOMETHING_ELSE", "x", "nothing reads it"),
        ("RINGBACK_API_KEY", "x", "commands call a server with it; the keys that a server accepts"),
    ],
)
def test_an_unused_variable_is_logged_at_the_start(
    tmp_path: Path, name: str, value: str, remedy: str
) -> None:
    settings = written(tmp_path, GOOD, **{name: value})
    with capture_logs() as lines:
        warn_about_settings(settings)
    (line,) = [line for line in lines if line["event"] == "variable_ignored"]
    assert line["variable"] == name
    assert line["remedy"].startswith(remedy)
    with pytest.raises(ConfigError, match=f"RINGBACK_API_KEYS is not set.*{name}"):
        require_keys(settings)


@pytest.mark.parametrize(
    "environ",
    [
        {"RINGBACK_API_KEYS": "k", "RINGBACK_API_KEY": "k", "RINGBACK_DATA": "d"},
        {"RINGBACK_URL": "http://h", "RINGBACK_CONFIG": ""},
        {"RINGBACK_WISTIA_TOKEN": "named in the file"},
        {"RINGBACK_PORT": "tcp://10.0.0.1:80", "RINGBACK_SERVICE_HOST": "10.0.0.1"},
        {"RINGBACK_PORT_80_TCP_ADDR": "10.0.0.1", "RINGBACK_WEB_SERVICE_PORT_HTTP": "80"},
        {"RINGBACK_WEB_PORT": "tcp://10.0.0.1:80", "RINGBACK_SERVICE_PORT": "80"},
    ],
)
def test_used_and_kubernetes_variables_cause_no_warning(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    text = GOOD.replace('"t"', '["env:RINGBACK_WISTIA_TOKEN", "t"]').replace("token =", "#")
    text = text.replace('"s"', '["env:RINGBACK_WISTIA_TOKEN", "s"]')
    assert written(tmp_path, text, **environ).warnings == ()


def run(*words: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, as a shell starts it."""
    return subprocess.run(
        [sys.executable, "-P", "-m", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2]), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "words", [("processor.web",), ("workers",), ("workers.clock",), ("processor.cli", "up")]
)
def test_each_process_exits_with_2_and_a_line_for_each_problem(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "ringback.toml").write_text('[sources.a]\nprovidr = "x"\n')
    ended = run(*words, folder=tmp_path, RINGBACK_SHARDS="many", RINGBACK_API_KEYS="k")
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["ringback:"] * 3, lines
    assert "sources.a.providr: unknown key `providr`" in lines[0]
    assert "RINGBACK_SHARDS: 'many' is not a whole number from 1 to 1024" in lines[2]


def test_commands_trim_their_variables(tmp_path: Path) -> None:
    url = "http://127.0.0.1:1 \r"
    ended = run("processor.cli", "jobs", folder=tmp_path, RINGBACK_URL=url, RINGBACK_API_KEY="k\r")
    assert ended.returncode == 5
    assert "cannot reach http://127.0.0.1:1 (" in ended.stderr
    ended = run("processor.cli", "jobs", folder=tmp_path, RINGBACK_URL="http://h\n:1")
    assert ended.returncode == 2
    assert "not a server's URL" in ended.stderr
    ended = run("processor.cli", "jobs", folder=tmp_path, RINGBACK_API_KEY=f"{HUSH}\n{HUSH}")
    assert ended.returncode == 2
    assert "RINGBACK_API_KEY: only printable ASCII" in ended.stderr
    assert HUSH not in ended.stderr
