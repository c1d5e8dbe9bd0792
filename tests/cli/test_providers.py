"""`ringback providers`: what is listed, what is wrong with a profile and on which line, a first one."""

import json
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from processor import provider
from processor.cli import main, profile_lint
from processor.cli.profile_summary import facts, span
from processor.cli.providers import skeleton
from processor.config.profiles import ProfileRegistry
from processor.durations import parse_duration

Run = Callable[..., tuple[int, str, str]]

GOOD = """\
docs = "https://docs.example.com"
checked = 2026-11-22
base_url = "https://api.example.com"

[push]
about = { "/type" = ["job.done", "job.failed"] }
id = "/id"
status = "/type"

[push.verify]
scheme = "hmac-sha256"
header = "X-Signature"

[poll]
request = "GET /accounts/{account}/jobs/{id}"
status = "/status"
every = ["500ms", "90s"]

[states]
"job.done" = "succeeded"
"job.failed" = "failed"
"""
CONFIG = 'providers = "mine"\n[sources.x]\nprovider = "acme"\ntoken = "env:NOT_SET"\n'


@pytest.fixture
def ringback(capsys, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RINGBACK_CONFIG", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return ended.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ringback.toml").write_text(CONFIG)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "acme.toml").write_text(GOOD)
    return tmp_path / "mine"


# The list ----------------------------------------------------------------------------------


def test_every_built_in_provider_is_listed(ringback: Run):
    code, out, err = ringback("providers")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(ProfileRegistry())
    assert all(line.endswith("  no") for line in out.splitlines()[1:])


def test_profiles_of_the_users_folder_are_listed_without_secrets(ringback: Run, folder: Path):
    (folder / "bluesky.toml").write_text(GOOD)
    items = {item["name"]: item for item in json.loads(ringback("providers", "--json")[1])["items"]}
    assert [name for name in items if items[name]["own"]] == ["acme", "bluesky"]
    assert items["acme"] == {
        "name": "acme",
        "push": "hmac-sha256",
        "poll": "every 500ms to 90s",
        "kinds": [None],
        "docs": "https://docs.example.com",
        "own": True,
    }


def test_the_list_shows_push_poll_and_kinds(ringback: Run, folder: Path):
    (folder / "mute.toml").write_text(GOOD.partition("[push]")[0] + POLLED)
    (folder / "open.toml").write_text(
        '[push]\nid = "/id"\nstatus = "/s"\n[states]\na = "failed"\n'
        '[kinds.part.push]\nid = "/part"\nstatus = "/s"\n[kinds.part.states]\na = "failed"\n'
    )
    rows = {line.split()[0]: line for line in ringback("providers")[1].splitlines()}
    assert "no    " in rows["mute"]
    assert "every 1s to 1m" in rows["mute"]
    assert rows["open"].split() == ["open", "unsigned", "no", "jobs,", "part:", "-", "yes"]


POLLED = (
    '[poll]\nrequest = "GET /{id}"\nstatus = "/s"\nevery = ["1s", "1m"]\n[states]\na = "failed"\n'
)


def test_a_broken_profile_is_named_with_its_line(ringback: Run, folder: Path):
    (folder / "acme.toml").write_text(GOOD.replace('id = "/id"', 'di = "/id"'))
    code, out, err = ringback("providers")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "acme.toml:7: " in err


def test_a_missing_folder_of_profiles_is_an_error(ringback: Run, tmp_path: Path):
    (tmp_path / "ringback.toml").write_text('providers = "gone"\n')
    code, _, err = ringback("providers", "--config", "ringback.toml")
    assert code == 2
    assert "gone" in err


# Errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong", "line", "named"),
    [
        ('id = "/id"', 'di = "/id"', 7, "unknown key `di`"),
        ('"failed"\n', '"broken"\n', 21, "job.failed = 'broken' is not a state"),
        ('"hmac-sha256"', '"rot13"', 10, "rot13"),
        ("[states]", "[states", 19, "not TOML"),
        ("checked = 2026-11-22", "checked = soon", 2, "`checked` is not a date; write it without"),
    ],
)
def test_an_error_is_one_line_with_file_and_line(
    ringback: Run, right: str, wrong: str, line: int, named: str
):
    Path("acme.toml").write_text(GOOD.replace(right, wrong, 1))
    code, out, err = ringback("providers", "check", "acme.toml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"acme.toml:{line}: ")
    assert named in err


def test_every_file_is_checked_even_if_others_are_wrong(ringback: Run, tmp_path: Path):
    (tmp_path / "bad.toml").write_text("colour = 1\n")
    (tmp_path / "good.toml").write_text(GOOD)
    (tmp_path / "binary.toml").write_bytes(b"\xff")
    names = ("bad.toml", "gone.toml", "good.toml", "binary.toml")
    code, out, err = ringback("providers", "check", *names)
    assert code == 2
    refused = [line.split(":")[0] for line in err.splitlines()]
    assert refused == ["bad.toml", "gone.toml", "binary.toml"]
    assert out.splitlines()[0].split() == ["profile", "good"]


def test_the_summary_of_a_profile_is_shown(ringback: Run, tmp_path: Path):
    (tmp_path / "acme.toml").write_text(GOOD)
    code, out, err = ringback("providers", "check", "acme.toml")
    assert (code, err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert rows["push"] == "hmac-sha256"
    assert rows["signature"] == "X-Signature"
    assert rows["pushed"] == "job.done, job.failed"
    assert rows["every"] == "500ms to 90s"
    assert rows["succeeded"] == "job.done"
    assert rows["params"].startswith("account: to be set")


def test_pointers_signature_and_auth_are_shown(ringback: Run, tmp_path: Path):
    signed = 'header = "X-Signature"\nformat = "t=,v1="\nsigns = "{timestamp}.{body}"\n'
    text = GOOD.replace('header = "X-Signature"\n', signed).replace(
        "[poll]\n",
        '[poll]\nroot = "/job"\nauth = "bearer"\nprogress = { at = "/p", of = 100 }\n'
        'result = "/out"\nerror = { message = "/why" }\ntime = "/at"\n',
    )
    (tmp_path / "acme.toml").write_text(text)
    code, out, err = ringback("providers", "check", "acme.toml")
    assert (code, err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert rows["format"] == "t=,v1="
    assert rows["signs"] == "{timestamp}.{body}"
    assert rows["tolerance"] == "5m"
    assert rows["push-fields"] == "id `/id`, status `/type`"
    assert (rows["auth"], rows["root"]) == ("bearer", "`/job`")
    assert rows["poll-fields"] == (
        "status `/status`, progress `/p` of 100, result `/out`, error `/why`, time `/at`"
    )
    item = json.loads(ringback("providers", "check", "acme.toml", "--json")[1])["items"][0]
    assert item["profile"]["kinds"][""]["push-fields"] == {"id": "`/id`", "status": "`/type`"}


def test_a_byte_order_mark_is_accepted(ringback: Run, tmp_path: Path):
    (tmp_path / "acme.toml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert ringback("providers", "check", "--strict", "acme.toml")[0] == 0


def test_json_has_errors_warnings_and_the_summary(ringback: Run, tmp_path: Path):
    (tmp_path / "bad.toml").write_text("colour = 1\n")
    (tmp_path / "warned.toml").write_text(GOOD.partition("\n")[2])
    code, out, _ = ringback("providers", "check", "bad.toml", "warned.toml", "--json")
    bad, warned = json.loads(out)["items"]
    assert code == 2
    assert (bad["profile"], bad["warnings"]) == (None, [])
    assert bad["error"].startswith("bad.toml:1: unknown key `colour`")
    assert warned["error"] is None
    assert [warning["line"] for warning in warned["warnings"]] == [1]
    assert warned["profile"]["kinds"][""]["states"] == {
        "succeeded": ["job.done"],
        "failed": ["job.failed"],
    }


# Warnings ----------------------------------------------------------------------------------

WARNINGS: list[tuple[str, str, str, int, str]] = [
    ("docs", 'docs = "https://docs.example.com"\n', "", 1, "`docs` is missing"),
    ("checked", "checked = 2026-11-22\n", "", 1, "`checked` is missing"),
    (
        "unsigned",
        '[push.verify]\nscheme = "hmac-sha256"\nheader = "X-Signature"\n',
        "",
        5,
        "pushes are not signed: anybody can cause polls",
    ),
    (
        "event id that is not signed",
        'status = "/type"\n',
        'status = "/type"\nevent_id = ["/event", "header:X-Delivery"]\n',
        9,
        "x-delivery, which the signature does not cover",
    ),
    (
        "accepted word without a state",
        '["job.done", "job.failed"]',
        '["job.done", "job.gone"]',
        6,
        "`job.gone` is accepted, but is not in [states]",
    ),
    (
        "accepted word, first of several pointers",
        'about = { "/type" = ["job.done", "job.failed"] }\nid = "/id"\nstatus = "/type"',
        'about = { "/type" = "job.gone" }\nid = "/id"\nstatus = ["/type", "/status"]',
        6,
        "`job.gone` is accepted",
    ),
    ("base_url without https", "https://api", "http://api", 3, "write https://, and set"),
    ("checked in the future", "2026-11-22", "2999-01-01", 2, "`checked` is after today, 20"),
    (
        "unsigned, confirmed by polls",
        'status = "/type"\n\n[push.verify]\nscheme = "hmac-sha256"\nheader = "X-Signature"\n',
        'status = "/type"\ntrust = "refetch"\n',
        5,
        '[push.verify] with `scheme = "token"` and `query = "token"`',
    ),
    (
        "format without a separator",
        'header = "X-Signature"\n',
        'header = "X-Signature"\nformat = "v1"\n',
        13,
        'if the header has "v1=", write that, else no push verifies',
    ),
    (
        "no word for success",
        '"job.done" = "succeeded"',
        '"job.done" = "canceled"',
        19,
        "no word means that a job succeeded",
    ),
    (
        "paste without URL",
        "[states]\n",
        '[register]\npaste = "Make a hook."\n[states]\n',
        20,
        "`paste` lacks `{url}`",
    ),
    (
        "no final state",
        '"job.done" = "succeeded"\n"job.failed" = "failed"\n',
        '"job.done" = "running"\n"job.failed" = "queued"\n',
        19,
        "no word ends a job",
    ),
]


@pytest.mark.parametrize(
    ("right", "wrong", "line", "named"),
    [pytest.param(*case[1:], id=case[0]) for case in WARNINGS],
)
def test_a_warning_fails_only_with_strict(
    ringback: Run, right: str, wrong: str, line: int, named: str
):
    assert right in GOOD
    Path("acme.toml").write_text(GOOD.replace(right, wrong))
    code, out, err = ringback("providers", "check", "acme.toml")
    assert (code, err.count("\n")) == (0, 1)
    assert err.startswith(f"acme.toml:{line}: warning: ")
    assert named in err
    assert out
    assert ringback("providers", "check", "--strict", "acme.toml")[0] == 2


def warnings(text: str) -> list[tuple[int, str]]:
    return profile_lint.warnings(
        provider.parse("acme", text), text, tomllib.loads(text), date(2026, 11, 29)
    )


NO_POLL = GOOD.partition("[poll]")[0] + "[states]" + GOOD.partition("[states]")[2]


@pytest.mark.parametrize(
    "right",
    [
        GOOD,
        NO_POLL,
        GOOD.replace('"/type" = ["job.done", "job.failed"]', '"/type" = true'),
        GOOD.replace('"/type" = ["job.done", "job.failed"]', '"/other" = "job.gone"'),
        GOOD.replace('status = "/type"', 'status = ["/data/status", "/type"]\nabout = {}').replace(
            'about = { "/type" = ["job.done", "job.failed"] }\n', ""
        ),
        GOOD.replace('"job.done", "job.failed"]', '"job.x"]') + 'otherwise = "running"\n',
        GOOD.replace('"X-Signature"\n', '"X-Signature"\nsigns = "{header:X-Id}.{body}"\n').replace(
            'id = "/id"', 'id = "/id"\nevent_id = "header:x-ID"'
        ),
        GOOD.replace('"hmac-sha256"\nheader = "X-Signature"', '"standard-webhooks"').replace(
            'id = "/id"', 'id = "/id"\nevent_id = "header:webhook-id"'
        ),
        GOOD.replace('"hmac-sha256"\nheader = "X-Signature"', '"token"\nquery = "token"').replace(
            'id = "/id"', 'id = "/id"\nevent_id = "header:X-Id"'
        ),
    ],
)
def test_valid_profiles_have_no_warnings(right: str):
    assert warnings(right) == []


def test_a_header_of_another_signature_scheme_is_not_covered():
    text = GOOD.replace(
        '"hmac-sha256"\nheader = "X-Signature"', '"standard-webhooks"\nheader = "svix-signature"'
    )
    assert warnings(text.replace('id = "/id"', 'id = "/id"\nevent_id = "header:svix-id"')) == []
    [(_, warning)] = warnings(
        text.replace('id = "/id"', 'id = "/id"\nevent_id = "header:webhook-id"')
    )
    assert "webhook-id" in warning


def test_a_kind_that_no_push_reaches_is_a_warning():
    text = GOOD.replace('about = { "/type" = ["job.done", "job.failed"] }\n', "")
    more = '[kinds.part.push]\nid = "/part"\nstatus = "/s"\n[kinds.part.states]\na = "succeeded"\n'
    assert warnings(text + more) == [
        (21, "no push gets here: [push] matches every push; give that an `about`")
    ]


def test_refetch_without_a_poll_is_a_warning():
    text = NO_POLL.replace("[push]\n", '[push]\ntrust = "refetch"\n')
    [(line, warning)] = warnings(text)
    assert (line, "add a [poll]" in warning) == (6, True)


@pytest.mark.parametrize("name", ProfileRegistry())
def test_built_in_profiles_have_no_warnings(name: str):
    text = ProfileRegistry().files[name].read_text()
    assert warnings(text) == []


@pytest.mark.parametrize("name", ProfileRegistry())
def test_every_built_in_profile_can_be_summarized(name: str):
    found: dict[str, Any] = json.loads(json.dumps(facts(ProfileRegistry()[name])))
    assert all(kind["states"] for kind in found["kinds"].values())


# The skeleton -------------------------------------------------------------------------------


def test_a_skeleton_is_short_valid_and_shows_a_push_and_a_poll(ringback: Run, tmp_path: Path):
    code, out, err = ringback("providers", "new", "acme")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) < 45
    (tmp_path / "acme.toml").write_text(out)
    code, shown, err = ringback("providers", "check", "--strict", "acme.toml")
    assert (code, err) == (0, "")
    assert "polled" in shown
    assert "pushed" in shown
    assert provider.parse("acme", skeleton("acme", date(2026, 11, 22))).checked == date(
        2026, 11, 22
    )
    assert json.loads(ringback("providers", "new", "acme", "--json")[1])["text"] == out


def test_the_commented_lines_of_a_skeleton_are_valid():
    text = skeleton("acme", date(2026, 11, 22))
    shown = text.replace("# format", "format").replace("# signs", "signs").replace("# gone", "gone")
    assert shown != text
    assert warnings(shown) == []


def test_a_skeleton_with_a_built_in_name_prints_a_notice(ringback: Run):
    code, out, err = ringback("providers", "new", "mux")
    assert (code, bool(out)) == (0, True)
    assert "mux is a built-in provider" in err


@pytest.mark.parametrize("name", ["", "A", "a b", "a/b", "-a", "a.", "../a", "a" * 64, "é"])
def test_a_bad_name_is_refused(ringback: Run, name: str):
    code, out, err = ringback("providers", "new", "--", name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "a provider's name has" in err


@pytest.mark.parametrize("text", ["250ms", "1s", "1.5s", "30s", "1m", "90s", "2h", "7d"])
def test_a_duration_is_printed_as_profiles_write_it(text: str):
    assert span(parse_duration(text)) == text
