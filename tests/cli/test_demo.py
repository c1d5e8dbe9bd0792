"""The demo: its actors one by one, and once as a whole."""

import hmac
import importlib.util
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from processor.cli import main
from processor.cli.demo import push_client, run
from processor.cli.demo.payloads import SCENES, Scene
from processor.cli.demo.provider_server import TOKEN, Providers, said
from processor.cli.demo.subscriber_server import Callback, Subscriber

ROOT = Path(__file__).parents[2]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRETS = {"wistia": "typed in at Wistia", "encoder": SECRET}
WISTIA, BLUESKY, FAILURE, MEDIA, STANDARD = SCENES


@pytest.fixture
def subscriber():
    with Subscriber(SECRET) as subscriber:
        yield subscriber


@pytest.fixture
def providers():
    with Providers(SCENES) as providers:
        yield providers


def completion(scene: Scene, name: str = "evt_1", told: str | None = None) -> Callback:
    return Callback(name, told or scene.ends, (scene.source, scene.id))


def test_a_job_says_what_it_has_come_to():
    assert said(WISTIA, 0.0)["background_job_status"]["status"] == "queued"
    assert said(WISTIA, 1.5)["background_job_status"]["status"] == "started"
    assert said(WISTIA, 99.0)["background_job_status"]["status"] == "finished"


def test_blueskys_progress_restarts():
    told = [payload["jobStatus"].get("progress", 0) for _, payload in BLUESKY.says]
    assert told != sorted(told)


def test_a_job_begins_when_it_is_first_asked_about(providers: Providers):
    _, first = providers.answer(BLUESKY.asked_at, None, 1000.0)
    _, later = providers.answer(BLUESKY.asked_at, None, 1099.0)
    assert first["jobStatus"]["state"] == "JOB_STATE_CREATED"
    assert later["jobStatus"]["state"] == "JOB_STATE_COMPLETED"


def test_wistia_wants_its_token_and_bluesky_none(providers: Providers):
    assert providers.answer(WISTIA.asked_at, None, 0.0)[0] == 401
    assert providers.answer(WISTIA.asked_at, f"Bearer {TOKEN}", 0.0)[0] == 200
    assert providers.answer(FAILURE.asked_at, None, 0.0)[0] == 200
    assert providers.answer("/elsewhere", None, 0.0)[0] == 404


def test_wistias_pushes_are_signed_over_the_raw_body():
    first = push_client.pushes(MEDIA, SECRETS)[0]
    expected = hmac.new(SECRETS["wistia"].encode(), first.body, "sha256").hexdigest()
    assert first.headers["X-Wistia-Signature"] == expected
    [event] = json.loads(first.body)["events"]
    age = datetime.now(UTC) - datetime.fromisoformat(event["generated_at"])
    assert abs(age.total_seconds()) < 5


def test_our_own_pushes_hold_as_standard_webhooks():
    for push in push_client.pushes(STANDARD, SECRETS)[:3]:
        Webhook(SECRET).verify(push.body, push.headers)


def test_the_last_push_comes_forged_and_repeated():
    *_, last, forged, again = push_client.pushes(STANDARD, SECRETS)
    assert forged.label == "forged"
    assert forged.body != last.body
    assert (again.body, again.headers) == (last.body, last.headers)


def test_the_subscriber_takes_what_is_verified(subscriber: Subscriber):
    body = json.dumps({"type": "job.failed", "data": {"source": "s", "id": "1"}})
    now = datetime.now(UTC)
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(SECRET).sign("evt_1", now, body),
    }
    assert subscriber.take(headers, body.encode()) == 204
    assert subscriber.verified == [Callback("evt_1", "job.failed", ("s", "1"))]
    assert subscriber.take(headers, body.encode() + b" ") == 401
    assert len(subscriber.refused) == 1


@pytest.mark.parametrize("signature", ["", "garbage", "v1,!!!", "v1,a,b"])
def test_the_subscriber_refuses_garbage(subscriber: Subscriber, signature: str):
    stamp = str(int(datetime.now(UTC).timestamp()))
    headers = {"webhook-id": "1", "webhook-timestamp": stamp, "webhook-signature": signature}
    assert subscriber.take(headers, b"{}") == 401


def test_all_callbacks_once_is_right_even_if_one_was_delivered_twice():
    callbacks = [completion(scene) for scene in SCENES]
    assert run.judge([*callbacks, callbacks[0]], []) == []


def test_what_is_missing_wrong_doubled_or_unverified_is_named():
    callbacks = [
        completion(WISTIA, told="job.failed"),
        completion(BLUESKY, "evt_1"),
        completion(BLUESKY, "evt_2"),
        completion(FAILURE),
        completion(MEDIA),
    ]
    assert run.judge(callbacks, ["bad signature"]) == [
        "a callback was not verified: bad signature",
        "wistia/197424: expected job.succeeded, got job.failed",
        "bluesky/d9it0jc5ep2c73frhd4g: job.succeeded came as several events",
        "encoder/job-1: expected job.succeeded, got nothing",
    ]


def test_without_the_library_the_extra_is_named(capsys, monkeypatch):
    monkeypatch.setattr("processor.cli.demo.find_spec", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        main(["demo"])
    assert ended.value.code == 2
    assert "pip install 'ringback[demo]'" in capsys.readouterr().err
    assert importlib.util.find_spec("standardwebhooks") is not None


@pytest.mark.acceptance
def test_the_whole_demo_is_right(tmp_path: Path):
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
def test_the_demo_as_json_is_one_document(tmp_path: Path):
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "processor.cli", "demo", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=90
    )
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["complaints"]) == (0, True, [])
    assert {callback["type"] for callback in told["callbacks"]} >= {"job.succeeded", "job.failed"}
