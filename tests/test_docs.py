"""The documentation says what the code does: all that the code knows is there, and nothing else.

A table is found by the first cell of its head (and its section, where several have the same);
its first column is compared with the code. Blocks of TOML, JSON and Python are read or run.
"""

import ast
import inspect
import json
import os
import re
import runpy
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import pytest
import typer

from processor import (
    config,
    durations,
    event_types,
    group_payload,
    http_time,
    payload,
    provider,
    schedule,
    signing,
    state_machine,
)
from processor.cli import follow
from processor.cli.app import build as build_cli
from processor.cli.exit_codes import Exit
from processor.config import schema as config_tables
from processor.config.profiles import ProfileRegistry
from processor.egress import failures
from processor.formats import FORMATS, Event, cloudevents, custom_headers
from processor.group import MAX_GROUPS, MAX_LISTED, MAX_MEMBERS, GroupState
from processor.model import HistoryEntry, Job, Push, Retention, State, Subscription
from processor.provider import ListRules, PollRules, PushRules, WebhookSetup, parse_profile
from processor.provider.condition import StatusField
from processor.provider.profile import PushFields, UpdateFields
from processor.service.delivery import attempt, batch, circuit_breaker, history
from processor.service.events import listener, selection, tail
from processor.service.events.tail import Tailer
from processor.service.groups import create, group_request
from processor.service.jobs import failed_polls, listing, watch_request
from processor.service.polling import cancel
from processor.service.pushes import receive
from processor.service.replay import plan, replay, retry
from processor.service.runtime.metrics import Metrics
from processor.service.runtime.process import open_context
from processor.service.subscriptions import manage, update as subscriptions_update
from processor.signing import SCHEMES, Verify
from processor.store.reserve import FULL
from processor.subscription_settings import FORMAT_NAMES
from processor.web import groups, request_body, sse, write_timeout
from processor.web.app import routes
from processor.web.gauges import GAUGES
from processor.web.health import Health
from processor.web.jobs import MAX_WAIT
from processor.web.openapi import document
from processor.web.rate_limit import KeylessRateLimit

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md"))
}
DAY = 86_400
GLOSSARY = "docs/glossary.md"


class Table(NamedTuple):
    """A table of a page: the section that it stands in, its head, and its rows."""

    section: str
    head: list[str]
    rows: list[list[str]]


def tables(page: str) -> Iterator[Table]:
    section, lines = "", list[str]()
    for line in [*PAGES[page].splitlines(), ""]:
        if line.startswith("|"):
            lines.append(line)
            continue
        if lines:
            head, _, *rows = [[cell.strip() for cell in row[1:-1].split("|")] for row in lines]
            yield Table(section, head, rows)
            lines = []
        if line.startswith("#"):
            section = line.lstrip("# ")


def table(page: str, head: str, section: str = "") -> dict[str, list[str]]:
    """The rows of one table by their first cell; all must be written as code, or none."""
    (found,) = [t for t in tables(page) if t.head[0] == head and section in ("", t.section)]
    assert all(len(row) == len(found.head) for row in found.rows), f"{page}: a row of {head!r}"
    rows = {row[0].strip("`"): row[1:] for row in found.rows}
    assert len(rows) == len(found.rows), f"{page}: {head!r} names something twice"
    return rows


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


def every_block(language: str) -> list[Any]:
    found = [(page, block) for page in PAGES for block in blocks(page, language)]
    return [pytest.param(block, id=f"{page}-{n}") for n, (page, block) in enumerate(found)]


def names(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


def prose(page: str) -> str:
    """A page without its line breaks, so that a sentence is found however it is wrapped."""
    return " ".join(PAGES[page].split())


# --- configuration ------------------------------------------------------------------------

KEYS = [
    ("The file", config_tables.File),
    ("`[sources.NAME]`", config_tables.SourceTable),
    ("`[subscriptions.NAME]`", config_tables.SubscriptionTable),
    ("`[egress]`", config_tables.EgressTable),
]


@pytest.mark.parametrize(("section", "struct"), KEYS)
def test_every_key_is_documented_with_its_default(section: str, struct: type[msgspec.Struct]):
    documented = table("docs/configuration.md", "key", section)
    assert set(documented) == names(struct)
    for field in msgspec.structs.fields(struct):
        default = documented[field.encode_name][0]
        assert (default == "required") is field.required, field.name
        if isinstance(field.default, str | tuple) and field.default:
            written = json.dumps(field.default)
            assert default == f"`{written}`", field.name


def test_every_variable_is_documented_with_its_default():
    documented = table("docs/configuration.md", "variable")
    env = config_tables.Environment
    assert set(documented) == names(env) | set(variables(command_line()))
    for field in msgspec.structs.fields(env):
        if field.default:
            assert f"`{field.default}`" in documented[field.name][1], field.name


def command_line() -> click.Command:
    return typer.main.get_command(build_cli())


def variables(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter.envvar, str):
            yield parameter.envvar
    for inner in inner_commands(command).values():
        yield from variables(inner)


def test_the_example_shows_every_key_and_is_good(tmp_path: Path):
    text = re.sub(r"^#(?=\S)", "", (ROOT / "ringback.example.toml").read_text(), flags=re.MULTILINE)
    assert load(text, tmp_path).sources["wistia"].takes_pushes
    shown = tomllib.loads(text)
    for section, struct in KEYS:
        name = section.strip("`[]").partition(".")[0]
        inside = [shown] if section == "The file" else [shown[name]]
        if section.endswith(".NAME]`"):
            inside = list(inside[0].values())
        assert {key for one in inside for key in one} == names(struct), section


def test_the_example_loads_as_it_stands(tmp_path: Path):
    shutil.copy(ROOT / "ringback.example.toml", tmp_path / "ringback.toml")
    assert config.load(tmp_path / "ringback.toml", {}).sources


def load(text: str, folder: Path) -> config.Settings:
    """The settings that a file means, every secret that it names being set."""
    secret = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
    for name in re.findall(r'"file:([^"]+)"', text):
        (folder / name).write_text(secret)
    (folder / "providers").mkdir(exist_ok=True)
    (folder / "providers" / "acme.toml").write_text(blocks("docs/profiles.md", "toml")[0])
    (folder / "ringback.toml").write_text(text)
    return config.load(
        folder / "ringback.toml", dict.fromkeys(re.findall(r'"env:(\w+)"', text), secret)
    )


# --- the command line ---------------------------------------------------------------------


def test_every_command_is_documented():
    assert set(table("docs/api.md", "command")) == set(commands("ringback", command_line()))


def commands(name: str, command: click.Command) -> Iterator[str]:
    inner = inner_commands(command)
    if not inner or getattr(command, "invoke_without_command", False):
        yield name
    for word, one in inner.items():
        yield from commands(f"{name} {word}", one)


def inner_commands(command: Any) -> dict[str, Any]:
    """The commands of a group; some are imported only when they are asked for."""
    if not hasattr(command, "list_commands"):
        return {}
    return {word: command.get_command(None, word) for word in command.list_commands(None)}


def test_every_exit_code_is_documented():
    assert {int(code) for code in table("docs/api.md", "exit code")} == set(Exit)


# --- HTTP ---------------------------------------------------------------------------------


async def test_every_call_is_documented(tmp_path: Path):
    async with open_context(load("", tmp_path)) as ours:
        served = {
            f"{method} {route.path.replace(':path', '')}"
            for route in routes(ours, Tailer(ours.store), Health(ours), KeylessRateLimit())
            for method in route.methods - {"HEAD"}
        }
    apart = {"POST /hooks/{source}", "POST /mcp", "POST /session", "DELETE /session"}
    assert set(table("docs/api.md", "call")) == served | apart


JOB = Job(
    source="s",
    provider="p",
    id="1",
    uid="u",
    created_at=0.0,
    deadline=1.0,
    deadline_at=1.0,
)
DATA = names(payload.JobData)
FIELDS = [
    ("field of the PUT", names(watch_request.WatchRequest)),
    ("field of the POST", names(manage.CreateSubscription)),
    ("field of the replay", names(replay.ReplayRequest)),
    ("field", set(payload.view(JOB, None)) - DATA),
    ("field of an entry", names(HistoryEntry) | {"at", "count"}),
]
GROUP_FIELDS = [
    ("field of the group", list(names(group_request.GroupRequest))),
    ("field of its event", list(group_payload.GroupData.__struct_fields__)),
    ("state of a group", list(GroupState)),
]


@pytest.mark.parametrize(("head", "fields"), GROUP_FIELDS)
def test_everything_about_a_group_is_documented(head: str, fields: list[str]):
    assert sorted(table("docs/groups.md", head)) == sorted(fields)


def test_groups_are_shown_as_they_are():
    created, event, waited = (block.encode() for block in blocks("docs/groups.md", "json"))
    assert msgspec.json.decode(created, type=group_request.GroupRequest).id == "batch-7"
    completed = msgspec.json.decode(event, type=group_payload.GroupEvent)
    assert msgspec.json.encode(completed) == msgspec.json.encode(json.loads(event))
    assert msgspec.json.decode(waited, type=groups.WaitRequest).mode == "any"


@pytest.mark.parametrize(("head", "fields"), FIELDS)
def test_every_field_is_documented(head: str, fields: set[str]):
    assert set(table("docs/api.md", head)) == fields


def test_the_call_that_is_shown_is_good():
    (call,) = blocks("docs/api.md", "console")
    body = re.search(r"-d '(.*?)'", call)
    assert body
    assert msgspec.json.decode(body[1], type=watch_request.WatchRequest).deadline


def test_every_field_of_the_answer_to_a_replay_is_documented():
    documented = re.search(r"202 `\{([^}]*)\}`: how many were enqueued", prose("docs/api.md"))
    assert documented
    assert set(json.loads(f"[{documented[1]}]")) == names(plan.ReplayResult)


def test_every_field_that_can_be_changed_is_documented():
    (sentence,) = re.findall(r"A PATCH takes (.*?);", prose("docs/api.md"))
    refused = {"signature"}  # unless it is the same
    assert (
        set(re.findall(r"`(\w+)`", sentence))
        == names(subscriptions_update.UpdateSubscription) - refused
    )
    assert "A `signature` other than its own is a 409" in prose("docs/api.md")


def test_every_field_of_a_subscription_is_documented():
    shown = {*manage.view(Subscription(id="sub_1", url="https://x.example", secrets=())), "secret"}
    documented = re.search(r'201 `\{("id", "secret".*?)\}`', prose("docs/api.md"))
    assert documented
    assert set(json.loads(f"[{documented[1]}]")) == shown


def test_every_state_of_a_delivery_is_documented():
    sentence = re.search(r"A delivery is (.*?):", prose("docs/api.md"))
    assert sentence
    assert re.findall(r"`(\w+)`", sentence[1]) == list(history.STATES)


def test_every_reason_to_ignore_is_one_of_the_machines():
    (reasons,) = table("docs/api.md", "field of an entry")["ignored"]
    modules = (state_machine, failed_polls, cancel)
    source = "".join(map(inspect.getsource, modules))
    assert [word for word in re.findall(r"`(\w+)`", reasons) if f'"{word}"' not in source] == []


# --- events -------------------------------------------------------------------------------


def test_every_event_type_is_documented():
    documented = table("docs/events.md", "type")
    assert (
        set(documented)
        == {*event_types.EVENT_TYPES, "subscription.test"}
        == set(document()["webhooks"])
    )
    assert list(event_types.TYPES_BY_NAME) == ["job.completed"]
    assert "`job.completed`, which means any of the four that end a job" in prose("docs/events.md")


def test_every_field_of_an_event_is_documented_and_shown():
    assert list(table("docs/events.md", "field of `data`")) == list(
        payload.JobData.__struct_fields__
    )
    samples = [json.loads(block) for block in blocks("docs/events.md", "json")]
    samples.append(json.loads(blocks("README.md", "http")[0].partition("\n\n")[2]))
    for sample in samples:
        assert list(sample) == list(payload.JobEvent.__struct_fields__)
        assert set(sample["data"]) == DATA
        assert sample["type"] in event_types.EVENT_TYPES


def test_every_header_is_documented():
    target = Subscription(id="sub_1", url="https://x.example", secrets=())
    sent, _ = FORMATS["standard"]([Event("evt_1", b"")], target, 0.0)
    assert set(table("docs/events.md", "header")) == set(sent)


def test_every_format_is_documented():
    documented = table("docs/events.md", "format")
    assert list(documented) == list(FORMATS) == list(FORMAT_NAMES)


def test_every_header_that_is_refused_is_documented():
    documented = table("docs/events.md", "refused")
    assert {word for words in documented for word in words.split("`, `")} == set(
        custom_headers.REFUSED
    )


def test_every_attribute_of_a_cloudevent_is_documented():
    assert set(table("docs/events.md", "attribute")) == names(cloudevents.CloudEvent)


def test_the_schedule_of_attempts_is_documented():
    documented = table("docs/events.md", "attempt")
    pauses = [
        cell.replace("at once", "0s").replace(" ", "").replace("min", "m")
        for (cell,) in documented.values()
    ]
    assert [int(n) for n in documented] == list(range(1, len(schedule.RETRY_DELAYS) + 1))
    assert [durations.parse_duration(pause) for pause in pauses] == list(schedule.RETRY_DELAYS)


# --- providers ----------------------------------------------------------------------------


def test_the_table_of_the_providers_is_as_the_profiles_are():
    documented = PAGES["docs/providers.md"]
    assert documented == runpy.run_path(str(ROOT / "tools" / "providers_table.py"))["page"](), (
        "run `make docs`"
    )


def test_the_readme_counts_and_names_the_providers():
    (count, again) = re.findall(r"(\d+)(?: providers\]| are built in, each)", PAGES["README.md"])
    assert int(count) == int(again) == len(ProfileRegistry())
    providers = PAGES["README.md"].partition("\n## Providers\n")[2].partition("[docs/")[0]
    assert set(re.findall(r"`([\w.-]+)`", providers)) == set(ProfileRegistry())


def test_every_promise_names_its_tests():
    promises = table("docs/promises.md", "promise")
    assert [one for one, (tests,) in promises.items() if not tests.startswith("`pytest ")] == []


VOCABULARY = [
    ("at the top", names(parse_profile._ProfileFile)),
    ("in `[push]`, `[poll]` and `[submit]`", names(UpdateFields)),
    ("only in `[push]`", (names(PushFields) | names(PushRules)) - names(UpdateFields)),
    ("in `[push.verify]`", names(Verify)),
    ("only in `[poll]`", names(PollRules) - names(UpdateFields)),
    ("in `[poll.list]`", names(ListRules)),
    ("in `[register]`", names(WebhookSetup)),
]


@pytest.mark.parametrize(("head", "keys"), VOCABULARY)
def test_every_key_of_a_profile_is_documented(head: str, keys: set[str]):
    assert set(table("docs/profiles.md", head)) == keys


def test_every_signature_scheme_is_documented():
    documented = [tuple(re.findall(r"`([^`]+)`", head)) for head, *_ in scheme_rows()]
    assert {name for group in documented for name in group} == set(SCHEMES)


def scheme_rows() -> list[list[str]]:
    (found,) = [t for t in tables("docs/profiles.md") if t.head[0] == "scheme"]
    return found.rows


# --- operations ---------------------------------------------------------------------------


def test_every_metric_is_documented_with_its_labels():
    documented = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, (labels, _) in table("docs/operations.md", "metric").items()
    }
    assert documented == dict(measured())


def measured() -> Iterator[tuple[str, set[str]]]:
    for collector in vars(Metrics().registry)["_collector_to_names"]:
        (family,) = collector.collect()
        total = "_total" if family.type == "counter" else ""
        yield family.name + total, set(collector._labelnames)
    for name, gauge in GAUGES.items():
        yield f"ringback_{name}", {gauge.label} if gauge.label else set()


def test_every_line_of_the_log_is_documented():
    assert set(table("docs/operations.md", "event")) == set(logged())


def logged() -> Iterator[str]:
    """The events that `log.…("event")` names; `say` is a log method chosen before."""
    folders = (
        "processor/service",
        "processor/web",
        "processor/store",
        "processor/egress",
        "processor/tokens",
        "workers",
    )
    for path in (file for folder in folders for file in (ROOT / folder).rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and call.args and _logs(call.func):
                assert isinstance(call.args[0], ast.Constant), path
                yield str(call.args[0].value)


def _logs(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return isinstance(function.value, ast.Name) and function.value.id == "log"
    return isinstance(function, ast.Name) and function.id == "say"


# --- the glossary -------------------------------------------------------------------------


def glossary(head: str) -> dict[str, list[str]]:
    return table("docs/glossary.md", head)


def test_the_words_are_in_alphabetical_order():
    words = [
        word.lower() for word in re.findall(r"^- \*\*(.+?)\*\*: ", PAGES[GLOSSARY], re.MULTILINE)
    ]
    assert words == sorted(set(words))
    assert len(words) == len(re.findall(r"^- ", PAGES[GLOSSARY], re.MULTILINE))


def test_the_glossary_has_every_state():
    assert list(glossary("state of a job")) == list(State)
    assert list(glossary("state of a delivery")) == list(history.STATES)


def test_the_glossary_has_every_event_type():
    groups = event_types.TYPES_BY_NAME
    assert set(glossary("event type")) == {*document()["webhooks"], *groups}


def test_the_glossary_has_every_redis_key(documented_keys: Any):
    assert list(glossary("Redis key")) == [row.name for row in documented_keys]


def test_the_glossary_has_every_log_event():
    (found,) = [t for t in tables(GLOSSARY) if t.head[1] == "log events"]
    words = [word for _, events in found.rows for word in re.findall(r"`(\w+)`", events)]
    assert sorted(words) == sorted(set(logged()))


QUOTED = [
    (
        "docs/events.md",
        f"up to {batch.MAX_EVENTS} of them, or {batch.MAX_BYTES >> 10} KiB",
    ),
    ("docs/events.md", f"within {batch.MAX_DELAY * 1000:g} ms"),
    ("docs/events.md", f"At most {custom_headers.HEADERS_AT_MOST} of them"),
    ("docs/events.md", f"{custom_headers.BYTES_AT_MOST >> 10} KiB of names and values"),
    ("docs/events.md", f"at most {circuit_breaker.CAPACITY} deliveries at the same time"),
    ("docs/events.md", f"Connecting may take {failures.CONNECT_SECONDS:g} s"),
    ("docs/events.md", f"the whole answer {attempt.TIMEOUT:g} s"),
    ("docs/events.md", f"±{schedule.RETRY_JITTER:.0%} at random".replace("%", " %")),
    ("docs/events.md", f"({http_time.MAX_RETRY_AFTER / 3600:g} hours at most)"),
    ("docs/events.md", f"For {config.load(None, {}).secret_overlap / 3600:g} hours"),
    ("docs/events.md", f"more than {signing.TOLERANCE // 60} minutes old".replace("5", "five")),
    ("docs/api.md", f"more than {request_body.MAX_BODY >> 20} MiB"),
    ("docs/api.md", f"{receive.MAX_IN_FLIGHT_BYTES >> 20} MiB of pushes"),
    ("docs/api.md", f"`: ping` comes every {sse.PING_INTERVAL:g} s"),
    ("docs/api.md", f"A listener that is more than {listener.MAX_UNREAD:,} events behind"),
    ("docs/api.md", f"reads nothing for {write_timeout.NO_READ_TIMEOUT:g} s"),
    ("docs/api.md", f"A receiver has {tail.MAX_LISTENERS:,} listeners at most"),
    ("docs/api.md", f"up to {watch_request.MAX_CALLBACKS} of them"),
    ("docs/api.md", f"over {FULL:.0%} of its memory".replace("%", " %")),
    ("docs/api.md", f"For {Retention().seen / DAY:g} days pushes about it are ignored"),
    ("docs/api.md", f"until {Retention().jobs / DAY:g} days after its deadline"),
    ("docs/api.md", f"reads at most {listing.MAX_SCANNED:,} jobs"),
    ("docs/api.md", f"reads at most {selection.MAX_SCANNED:,} events"),
    (
        "docs/api.md",
        f'wait for their next attempt; 202 `{{"due": n}}`, {retry.MAX_RETRIED:,} at most',
    ),
    ("docs/api.md", f"or for {follow.RECONNECT_TIMEOUT:g} s without one"),
    ("docs/api.md", f"of a group {groups.MAX_BODY >> 20} MiB"),
    ("docs/groups.md", f"A body may have {groups.MAX_BODY >> 20} MiB"),
    ("docs/groups.md", f"At most {MAX_MEMBERS:,}; a job is in {MAX_GROUPS} running groups at most"),
    ("docs/groups.md", f"at most {MAX_LISTED:,}; `state`"),
    ("docs/groups.md", f"({create.EMPTY_DEADLINE / 3600:g} h for a group"),
    ("docs/groups.md", f"({MAX_WAIT} at most"),
    ("docs/groups.md", f"that fits {request_body.MAX_BODY >> 20} MiB"),
    ("docs/howto.md", f"A group may have {groups.MAX_BODY >> 20} MiB"),
    ("docs/howto.md", f"answers that take {MAX_WAIT} s, since waits do"),
    ("docs/howto.md", f"A `: ping` comes every {sse.PING_INTERVAL:g} s"),
    ("docs/operations.md", f"Above {FULL:.0%} of `maxmemory`".replace("%", " %")),
    ("docs/decisions.md", f"after {schedule.LATENESS:.0%} of its age".replace("%", " %")),
    ("docs/operations.md", f"or {schedule.THROTTLED_PAUSE:g} s"),
]


@pytest.mark.parametrize(("page", "words"), QUOTED)
def test_a_number_that_is_quoted_is_the_codes(page: str, words: str):
    assert words in prose(page)


# --- what is shown, runs ------------------------------------------------------------------


@pytest.mark.parametrize("text", every_block("toml"))
def test_toml_is_a_configuration_or_a_profile(text: str, tmp_path: Path):
    if "states" in tomllib.loads(text):
        assert provider.parse("acme", text).needs_secret
    elif "status" in tomllib.loads(text):
        StatusField(tomllib.loads(text)["status"])  # a part of a profile
    else:
        assert load(text, tmp_path).sources


@pytest.mark.parametrize("text", every_block("json"))
def test_json_is_json(text: str):
    json.loads(text)


@pytest.mark.parametrize("text", every_block("sh"))
def test_a_shell_script_is_read_by_a_plain_sh(text: str):
    read = subprocess.run(
        ["/bin/sh", "-n"], input=text, capture_output=True, text=True, check=False
    )
    assert (read.returncode, read.stderr) == (0, "")


def test_the_standard_update_is_read_as_shown():
    (body,) = blocks("docs/providers.md", "json")
    profile = ProfileRegistry()["standard"]
    push = Push({}, body.encode())
    (update,) = provider.read_push(profile, "encoder", push, 0.0).updates
    assert (update.id, update.state, update.progress, update.attempt) == (
        "job-1",
        "running",
        0.4,
        1,
    )
    assert update.error


def test_a_service_of_ones_own_tells_as_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ENCODER_SECRET", secret := "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz")
    (code,), shown, sent = blocks("docs/providers.md", "python"), dict[str, Any](), list[Any]()
    exec(code, shown)  # noqa: S102 -- our own page
    monkeypatch.setattr("urllib.request.urlopen", lambda push: sent.append(push) or Accepted)
    assert (
        shown["send_update"]("https://x.example", "a-1", {"id": "job-1", "status": "running"})
        == 202
    )
    headers = {name.lower(): value for name, value in sent[0].header_items()}
    profile = ProfileRegistry()["standard"]
    assert profile.push
    assert profile.push.verify
    key = signing.secret_key(profile.push.verify, secret)
    push = Push(headers, sent[0].data)
    signing.verify(profile.push.verify, [key], push, time.time())
    (update,) = provider.read_push(profile, "encoder", push, 0.0).updates
    assert (update.id, update.event_id) == ("job-1", "a-1")


def test_a_shell_script_tells_as_shown(tmp_path: Path):
    """The secret that the page makes, and the headers that reach curl."""
    make, tell = blocks("docs/providers.md", "sh")
    curl = tmp_path / "curl"
    curl.write_text(
        f'#!/bin/sh\nfor one in "$@"; do printf "%s\\0" "$one"; done >{tmp_path}/called\n'
    )
    curl.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def sh(script: str, **more: str) -> str:
        shell = subprocess.run(
            ["/bin/sh", "-c", script],
            env=environment | more,
            capture_output=True,
            check=True,
            text=True,
        )
        return shell.stdout.strip()

    secret, update = sh(make), '{"id": "job-1", "status": "running"}'
    sh(f"{tell}\nsend_update https://x.example a-1 '{update}'", ENCODER_SECRET=secret)
    words = (tmp_path / "called").read_text().split("\0")
    headers = dict(word.split(": ") for word in words if ": " in word and word != update)
    assert update in words
    profile = ProfileRegistry()["standard"]
    assert profile.push
    assert profile.push.verify
    key = signing.secret_key(profile.push.verify, secret)
    signing.verify(profile.push.verify, [key], Push(headers, update.encode()), time.time())


class Accepted:
    """What answers."""

    status = 202


def test_no_python_is_left_untested():
    """That of the README is for test_readme.py, that of the events for store/test_groups.py, that
    of the configuration for tokens/test_github_app.py, and that of the agents for
    acceptance/test_agents.py. Tutorial and how-tos have tests of their own name.
    """
    pages = ["README.md", "docs/providers.md", "docs/events.md", "docs/configuration.md"]
    pages += ["docs/tutorial.md", "docs/howto.md", "docs/agents.md"]
    shown = {page: len(found) for page in PAGES if (found := blocks(page, "python"))}
    assert shown == dict.fromkeys(pages, 1)


def test_the_state_machine_on_the_page_of_promises_is_that_of_the_code():
    drawn = [
        line.strip() for line in (state_machine.__doc__ or "").splitlines() if line.startswith("  ")
    ]
    shown = [line.strip() for line in blocks("docs/promises.md", "text")[0].splitlines()]
    assert shown == drawn


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_are_named_exist(page: str):
    known = {tuple(one.split()[1:]) for one in commands("ringback", command_line())}
    known |= {one[:1] for one in known}
    for words in re.findall(r"(?:`|^\$ )ringback ([a-z]+(?: [a-z]+)?)", PAGES[page], re.MULTILINE):
        first, *rest = words.split()
        assert (first,) in known, f"{page}: ringback {words}"
        inner = {one[1] for one in known if one[0] == first and len(one) > 1}
        assert not inner or not rest or rest[0] in inner, f"{page}: ringback {words}"


def test_metrics_and_log_events_that_are_named_exist():
    page = PAGES["docs/debugging.md"]
    metrics = {name for name, _ in measured()}
    assert set(re.findall(r"`(ringback_\w+)", page)) <= metrics
    events = re.findall(r"log events? ((?:`\w+`(?:, | and )?)+)", prose("docs/debugging.md"))
    named = {word for some in events for word in re.findall(r"\w+", some)} - {"and"}
    assert named
    assert named <= set(logged())


LATER: list[str] = []


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_announced_before_it_works(page: str):
    yet = "## What it does not do (yet)"
    before, _, rest = PAGES[page].partition(yet)
    text = before + rest.partition("\n## ")[2]
    text = re.sub(r"<!-- what they need.*?<!-- end", "", text, flags=re.DOTALL)  # others' words
    text = re.sub(r"^```python.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)  # it runs
    said = re.sub(r"[Gg]roup[ _]commit|control-group|consumer\s+groups?", "", text)
    assert [word for word in LATER if re.search(rf"\b{word}", said, re.IGNORECASE)] == []


# --- pages --------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str):
    text = re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES)
def test_links_by_name_are_defined_and_used(page: str):
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    defined = re.findall(r"^\[([\w-]+)\]: \S", text, re.MULTILINE)
    assert sorted(defined) == sorted(set(re.findall(r"\]\[([\w-]+)\]", text)))


def anchors(file: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES)
def test_tests_that_are_named_exist(page: str):
    for words in re.findall(r"`pytest ([^`]+)`", prose(page)):
        assert [path for path in words.split() if not (ROOT / path).exists()] == []


def test_the_slowest_tests_exist():
    (found,) = [t for t in tables("CONTRIBUTING.md") if t.head[0] == "s"]
    assert [path for _, path in found.rows if not (ROOT / path.strip("`")).exists()] == []


def test_decisions_are_dated_reasoned_and_short():
    for decision in re.split(r"\n#+ ", PAGES["docs/decisions.md"].partition("\n### ")[2]):
        title, *lines = decision.strip().splitlines()
        if lines:  # else it is the title of a subject
            assert re.match(r"\*\*Decision\*\* \(\d{4}-\d\d-\d\d\)\. ", lines[1]), title
            assert any(line.startswith("**Because** ") for line in lines), title
            assert ": " in title, f"{title}: name the subject, then the choice"
            assert len([line for line in lines if line]) <= 15, title


def test_the_changelog_knows_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## [{version}]" in PAGES["CHANGELOG.md"]
