"""`ringback demo`: its subscriber and its verdict, and the whole demo in a process."""

import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from processor.cli import main
from processor.cli.demo.scenarios import EXPECTED, SCENARIOS, judge
from processor.cli.demo.simulation import Simulation, configuration
from processor.cli.demo.subscriber_server import Callback, SubscriberServer
from processor.config import load

ROOT = Path(__file__).parents[2]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def subscriber():
    with SubscriberServer(SECRET) as subscriber:
        yield subscriber


def callback(job: tuple[str, str], event_id: str = "evt_1", event_type: str = "") -> Callback:
    return Callback(event_id, event_type or EXPECTED[job], job)


def test_the_configuration_of_the_demo_is_valid(tmp_path: Path):
    file = tmp_path / "ringback.toml"
    with ExitStack() as stack:
        simulations = [Simulation(scenario, stack) for scenario in SCENARIOS]
        file.write_text(configuration(simulations, "http://127.0.0.1:1/callbacks", SECRET))
    assert tomllib.loads(file.read_text())["sources"]["wistia"].keys() == {
        "provider",
        "base_url",
        "token",
        "webhook_secret",
    }
    settings = load(file, {})
    assert set(settings.sources) == {"wistia", "bluesky", "encoder"}
    assert set(settings.subscriptions) == {"sub_demo"}


def test_the_subscriber_accepts_verified_callbacks(subscriber: SubscriberServer):
    body = json.dumps({"type": "job.failed", "data": {"source": "s", "id": "1"}})
    now = datetime.now(UTC)
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(SECRET).sign("evt_1", now, body),
    }
    assert subscriber.receive(headers, body.encode()) == 204
    assert subscriber.verified == [Callback("evt_1", "job.failed", ("s", "1"))]
    assert subscriber.receive(headers, body.encode() + b" ") == 401
    assert len(subscriber.refused) == 1


@pytest.mark.parametrize("signature", ["", "garbage", "v1,!!!", "v1,a,b"])
def test_the_subscriber_refuses_invalid_signatures(subscriber: SubscriberServer, signature: str):
    stamp = str(int(datetime.now(UTC).timestamp()))
    headers = {"webhook-id": "1", "webhook-timestamp": stamp, "webhook-signature": signature}
    assert subscriber.receive(headers, b"{}") == 401


def test_a_second_delivery_of_the_same_event_is_not_a_problem():
    callbacks = [callback(job) for job in EXPECTED]
    assert judge([*callbacks, callbacks[0]], []) == []


def test_missing_wrong_repeated_and_unverified_events_are_problems():
    callbacks = [
        callback(("wistia", "197424"), event_type="job.failed"),
        callback(("bluesky", "d9it0jc5ep2c73frhd4g"), "evt_1"),
        callback(("bluesky", "d9it0jc5ep2c73frhd4g"), "evt_2"),
        callback(("bluesky", "d004n3qbh3us72spkh2g")),
        callback(("wistia", "media:l9dqljgtfy")),
    ]
    assert judge(callbacks, ["bad signature"]) == [
        "a callback was not verified: bad signature",
        "wistia/197424: expected job.succeeded, got job.failed",
        "bluesky/d9it0jc5ep2c73frhd4g: job.succeeded came as several events",
        "encoder/job-1: expected job.succeeded, got nothing",
    ]


def test_without_the_library_the_error_names_the_extra(capsys, monkeypatch):
    monkeypatch.setattr("processor.cli.demo.find_spec", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        main(["demo"])
    assert ended.value.code == 2
    assert "pip install 'ringback[demo]'" in capsys.readouterr().err
    assert importlib.util.find_spec("standardwebhooks") is not None


@pytest.mark.acceptance
def test_the_demo_succeeds(tmp_path: Path):
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "REDIS_URL": "redis://not.used:1",
        "PORT": "1",
    }
    command = [sys.executable, "-m", "processor.cli", "demo"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all came, each once, all verified" in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.acceptance
def test_the_demo_prints_one_json_document(tmp_path: Path):
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "processor.cli", "demo", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=90
    )
    result = json.loads(done.stdout)
    assert (done.returncode, result["ok"], result["complaints"]) == (0, True, [])
    assert {callback["type"] for callback in result["callbacks"]} >= {"job.succeeded", "job.failed"}
