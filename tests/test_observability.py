"""Alert rules and board: they name what exists, and Prometheus' own tool finds nothing wrong with them."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
import yaml

from processor import schedule
from processor.cli.app import build
from processor.config.schema import Environment, SourceTable
from processor.provider.profile import PollRules
from processor.service.runtime.metrics import CALLBACK, Metrics
from processor.web.gauges import GAUGES

ROOT = Path(__file__).parents[1]
RULES = ROOT / "deploy/prometheus/ringback.rules.yml"
BOARD = ROOT / "deploy/grafana/ringback.json"
ALERTS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
BY_NAME = {alert["alert"]: alert for alert in ALERTS}
PANELS: list[dict[str, Any]] = json.loads(BOARD.read_text())["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
PLACEHOLDERS = {"$__rate_interval": "5m"}  # of Grafana

promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")


def run_promtool(*words: str | Path, given: str = "") -> None:
    """Run it, and see that it finds nothing."""
    ran = subprocess.run(
        ["promtool", *map(str, words)],  # noqa: S607 -- wherever it is installed
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def exported() -> Iterator[tuple[str, set[str]]]:
    """The names under which samples are exported, and their labels."""
    for family in Metrics().registry.collect():
        collector = Metrics().registry._names_to_collectors[family.name]
        labels = {*collector._labelnames, "process"}  # type: ignore[attr-defined]
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        yield from ((family.name + suffix, labels | {"le"}) for suffix in suffixes[family.type])
    for name, gauge in GAUGES.items():
        yield f"ringback_{name}", {gauge.label} if gauge.label else set()


@pytest.mark.parametrize("expression", [*EXPRESSIONS, *(alert["expr"] for alert in ALERTS)])
def test_an_expression_names_metrics_labels_and_words_that_exist(expression: str) -> None:
    metrics = dict(exported())
    named = set(re.findall(r"\b(?:ringback_\w+|up)\b", expression))
    assert named
    assert named - {"up"} <= set(metrics)
    labels = {"job"}.union(*(metrics[name] for name in named - {"up"}))
    used = set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", expression))
    for some in re.findall(r"by \(([^)]*)\)", expression):
        used |= set(some.split(", "))
    assert used <= labels


def grouped_by(expression: str) -> set[str]:
    """The labels of what an expression returns."""
    if found := re.search(r"\bsum(?: by \((\w+)[^)]*\) )?\(", expression):
        return {found[1]} if found[1] else set()
    metric = re.search(r"ringback_\w+", expression)
    return dict(exported())[metric[0]] if metric else {"instance"}


@pytest.mark.parametrize("name", BY_NAME)
def test_an_alert_names_thing_place_and_remedy(name: str) -> None:
    alert = BY_NAME[name]
    assert set(alert["annotations"]) == {"summary", "remedy"}
    text = " ".join(alert["annotations"].values())
    assert alert["labels"]["severity"] in ("page", "ticket")
    for variable in re.findall(r"RINGBACK_[A-Z_]+", text):
        assert variable in Environment.__struct_fields__
    for label in grouped_by(alert["expr"]) - {"process"}:
        assert f"$labels.{label}" in text, label


REMEDIES = [(name, alert["annotations"]["remedy"]) for name, alert in BY_NAME.items()]
COMMANDS = [
    pytest.param(command, id=f"{name}: {command}")
    for name, remedy in REMEDIES
    for command in re.findall(r"`ringback ([^`]+)`", remedy)
]
KEYS = [
    pytest.param(*found, id=f"{name}: {' '.join(found)}")
    for name, remedy in REMEDIES
    for found in re.findall(r"`(\w+)[^`]*` in \[(\w+)", remedy)
]
TABLES: dict[str, type[msgspec.Struct]] = {"sources": SourceTable, "poll": PollRules}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_a_remedy_is_complete(command: str) -> None:
    """It is parsed with all its words, down to the last subcommand, and not run."""
    name, rest = "ringback", re.sub(r"{{ \$labels\.\w+ }}", "sub_1", command).split()
    parser: Any = typer.main.get_command(build())
    context = None
    while True:
        context = parser.make_context(name, rest, parent=context)
        if not (rest := [*context._protected_args, *context.args]):
            break
        name, parser, rest = parser.resolve_command(context, rest)


@pytest.mark.parametrize(("key", "table"), KEYS)
def test_a_key_that_a_remedy_names_belongs_to_that_table(key: str, table: str) -> None:
    assert key in TABLES[table].__struct_encode_fields__


@pytest.mark.parametrize("name", ["RingbackDeadLetters", "RingbackSubscriberFails"])
def test_a_remedy_for_a_subscription_says_what_to_do_for_callback_urls(name: str) -> None:
    """They share one label, which no command takes."""
    remedy = BY_NAME[name]["annotations"]["remedy"]
    assert re.search(rf"`ringback [^`]*{{{{ \$labels.subscription }}}}.* `{CALLBACK}`", remedy)


def test_the_times_in_the_remedy_for_a_failing_subscriber_are_those_of_the_schedule() -> None:
    remedy = BY_NAME["RingbackSubscriberFails"]["annotations"]["remedy"]
    hours, days = sum(schedule.RETRY_DELAYS) // 3600, schedule.DISABLE_AFTER / 86_400
    assert f"tried for {hours} hours, and then ends as `failed`" in remedy
    assert f"after {days:g} days of failures" in remedy


def test_every_alert_is_documented() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    assert re.findall(r"^\| `(Ringback\w+)` \|", page, re.MULTILINE) == list(BY_NAME)


def test_the_board_shows_every_documented_metric() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    documented = re.findall(r"^\| `(ringback_\w+)` \|", page, re.MULTILINE)
    shown = {
        name.removesuffix("_bucket")
        for text in EXPRESSIONS
        for name in re.findall(r"ringback_\w+", text)
    }
    assert set(documented) == shown


def test_no_panels_of_the_board_overlap() -> None:
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in PANELS
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


@promtool
def test_promtool_accepts_the_rules() -> None:
    run_promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


@promtool
def test_promtool_accepts_the_expressions_of_the_board(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(EXPRESSIONS)]
    text = json.dumps({"groups": [{"name": "board", "rules": rules}]})
    for word, value in PLACEHOLDERS.items():
        text = text.replace(word, value)
    (tmp_path / "board.yml").write_text(text)
    run_promtool("check", "rules", tmp_path / "board.yml")


# Input series of an hour, a minute each, after which the alert fires; promtool's notation.
FIRING: dict[str, dict[str, str]] = {
    "RingbackDown": {'up{job="ringback"}': "1 0x59"},
    "RingbackNoWorker": {"ringback_workers": "2 0x59"},
    "RingbackBacklogLate": {'ringback_backlog_overdue_seconds{backlog="poll"}': "0+1x59"},
    "RingbackRedisFull": {
        "ringback_redis_memory_used_ratio": "0.5x59",
        "ringback_redis_memory_reserved_ratio": "0.3x59",
    },
    "RingbackRedisReplaced": {'ringback_redis_replaced_total{what="emptied"}': "_x55 1x3"},
    "RingbackRedisDiskSlow": {"ringback_redis_delayed_syncs_total": "0x55 1x3"},
    "RingbackPushesRefused": {
        'ringback_pushes_refused_total{source="mux",status="401"}': "0x50 20+1x8"
    },
    "RingbackPushesLost": {'ringback_source_poll_first{source="mux"}': "1x59"},
    "RingbackUpdatesHeld": {'ringback_source_held_updates{source="mux"}': "9000x59"},
    "RingbackSourceUnknown": {'ringback_orphan_updates_total{source="old"}': "_x45 1+1x13"},
    "RingbackStatusUnknown": {
        'ringback_update_flags_total{source="mux",flag="unknown_status"}': "1x55 2x3"
    },
    "RingbackSourceStalled": {'ringback_source_stalled{source="mux"}': "1x59"},
    "RingbackSourceThrottled": {'ringback_source_throttled_seconds{source="mux"}': "60x59"},
    "RingbackPollsFail": {
        'ringback_polls_total{source="mux",outcome="failed"}': "0+9x59",
        'ringback_polls_total{source="mux",outcome="answered"}': "0+1x59",
    },
    "RingbackPollsStalled": {'ringback_events_total{type="job.poll_stalled"}': "_x55 1x3"},
    "RingbackPollsLate": {
        'ringback_poll_lateness_seconds_bucket{source="mux",le="60.0"}': "0x59",
        'ringback_poll_lateness_seconds_bucket{source="mux",le="300.0"}': "0+9x59",
        'ringback_poll_lateness_seconds_bucket{source="mux",le="+Inf"}': "0+9x59",
    },
    "RingbackSubscriptionDisabled": {
        'ringback_subscription_disabled{subscription="sub_1"}': "1x59"
    },
    "RingbackDeadLetters": {
        'ringback_dead_letters_total{subscription="sub_1",outcome="failed"}': "_x55 1x3"
    },
    "RingbackSubscriberFails": {
        'ringback_subscription_failing_seconds{subscription="sub_1"}': "0+60x59"
    },
    "RingbackOverflow": {
        'ringback_subscription_overflow_seconds{subscription="sub_1"}': "0+100x59"
    },
    "RingbackSecretsSealed": {
        'ringback_delivery_attempts_total{subscription="sub_1",outcome="sealed"}': "0+1x59"
    },
}


@promtool
def test_each_alert_fires_in_its_trouble_and_no_other_one_does(tmp_path: Path) -> None:
    assert list(FIRING) == list(BY_NAME)
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": s, "values": values} for s, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": "59m",
                    "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1}],
                }
            ],
        }
        for name, series in FIRING.items()
    ]
    document = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(json.dumps(document))
    run_promtool("test", "rules", tmp_path / "tests.yml")


@promtool
def test_a_quiet_ringback_raises_no_alert(tmp_path: Path) -> None:
    quiet = {
        'up{job="ringback"}': "1x59",
        "ringback_workers": "2x59",
        "ringback_redis_memory_used_ratio": "0.2x59",
        "ringback_redis_memory_reserved_ratio": "0x59",
        'ringback_polls_total{source="mux",outcome="answered"}': "0+5x59",
        'ringback_dead_letters_total{subscription="sub_1",outcome="failed"}': "7x59",
        'ringback_orphan_updates_total{source="new"}': "_x50 3x9",  # a reload added it
        'ringback_subscription_failing_seconds{subscription="sub_1"}': "0+60x14 _x44",  # it is back
        'ringback_circuit_breaker_open{subscription="sub_1"}': "1x59",  # for a minute or two
    }
    run_rules(tmp_path, quiet, "ALERTS")


@promtool
def test_the_first_event_after_an_idle_spell_raises_no_alert_while_it_is_on_its_way(
    tmp_path: Path,
) -> None:
    """The event before it was never delivered, so the gauge begins with all the time since then."""
    late = {'ringback_subscription_failing_seconds{subscription="sub_1"}': "_x58 2592000+60x1"}
    run_rules(tmp_path, late, 'ALERTS{alertstate="firing"}')


def run_rules(tmp_path: Path, series: dict[str, str], absent: str) -> None:
    """See that the expression has no sample after an hour of these series."""
    test = {
        "interval": "1m",
        "input_series": [{"series": s, "values": values} for s, values in series.items()],
        "promql_expr_test": [
            {"expr": absent, "eval_time": "59m", "exp_samples": []},
        ],
    }
    document = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "tests.yml").write_text(json.dumps(document))
    run_promtool("test", "rules", tmp_path / "tests.yml")
