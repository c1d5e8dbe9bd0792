"""`ringback simulate` against a hook that verifies pushes, and polled by a client."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from processor import provider, signing
from processor.cli import main
from processor.cli.simulate import push_sender, run as simulation_run
from processor.config.profiles import ProfileRegistry
from processor.model import HttpResponse, Push, StatusUpdate
from processor.provider import ListedJobs, PollFailure

from .waiting import until

PROFILES = ProfileRegistry()
SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
PLAIN = "s3cret"
FAST = ("--seconds", "0.03")


@dataclass
class ProviderHook:
    """A loopback hook that verifies pushes; answers with `answers` in turn, then 202."""

    provider: str = "standard"
    secret: str = SECRET
    answers: list[int] = field(default_factory=list)
    updates: list[StatusUpdate] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    refused: list[Exception] = field(default_factory=list)
    response: bytes = b""
    url: str = ""

    def receive(self, push: Push, now: float) -> int:
        if self.answers and (status := self.answers.pop(0)):
            return status
        profile = PROFILES[self.provider]
        provider.check_content_type(profile, push)
        if rule := profile.verify:
            signing.verify(rule, [signing.secret_key(rule, self.secret)], push, now)
        self.bodies.append(push.body)
        self.updates += provider.read_push(profile, "acme", push, now).updates
        return 202

    @property
    def words(self) -> list[str]:
        return [update.status for update in self.updates]


@pytest.fixture
def hook() -> Iterator[ProviderHook]:
    hook = ProviderHook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            push = Push(headers, body, urlsplit(self.path).query)
            try:
                status = hook.receive(push, time.time())
            except Exception as error:  # noqa: BLE001 - the test sees a refusal and its reason
                hook.refused.append(error)
                status = 401
            self.send_response(status)
            self.send_header("Content-Length", str(len(hook.response)))
            self.end_headers()
            self.wfile.write(hook.response)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.url = f"http://127.0.0.1:{server.server_port}/hooks/acme"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield hook
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Ended:
    """How a command ended: its code, the documents that it printed, its complaints."""

    code: int
    out: list[Any]
    err: str

    @property
    def pushes(self) -> dict[str, Any]:
        return dict(self.out[-1]["pushes"])


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(push_sender, "RETRY_PAUSE", 0.01)
    monkeypatch.setattr(simulation_run, "CONFIRMATION_TIMEOUT", 0.01)

    def run(*args: str) -> Ended:
        with pytest.raises(SystemExit) as end:
            main(["simulate", "--json", *args])
        out, err = capsys.readouterr()
        return Ended(int(str(end.value.code)), [json.loads(line) for line in out.splitlines()], err)

    return run


# --- pushes -------------------------------------------------------------------------------


def test_pushes_are_sent_in_order_and_verified(hook: ProviderHook, run: Run):
    ended = run("standard", "--to", hook.url, "--secret", SECRET, "--id", "job-1", *FAST)
    assert ended.code == 0
    assert hook.words == ["queued", "running", "running", "succeeded"]
    assert {update.id for update in hook.updates} == {"job-1"}
    assert [update.progress for update in hook.updates] == [None, 0.25, 0.75, 1.0]
    assert [u.at for u in hook.updates] == sorted(u.at for u in hook.updates)
    assert len({update.event_id for update in hook.updates}) == 4
    assert ended.out[0]["jobs"] == ["job-1"]
    assert ended.pushes == {
        "sent": 4,
        "duplicates": 0,
        "lost": 0,
        "given_up": 0,
        "answers": {"202": 4},
    }


SIGNED = [
    ("mux", PLAIN, ["preparing", "preparing", "ready"]),
    ("svix", SECRET, ["queued", "running", "running", "succeeded"]),
    ("transloadit", PLAIN, ["ASSEMBLY_UPLOADING", "ASSEMBLY_EXECUTING", "ASSEMBLY_COMPLETED"]),
    ("github", PLAIN, ["queued", "in_progress", "success"]),
    ("cloudinary", PLAIN, ["eager"]),
    ("runpod", PLAIN, ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]),
    ("revai", PLAIN, ["in_progress", "transcribed"]),
    ("pyannoteai", PLAIN, ["pending", "running", "succeeded"]),
]


@pytest.mark.parametrize(("name", "secret", "words"), SIGNED)
def test_pushes_are_signed_as_the_provider_signs(
    name: str, secret: str, words: list[str], hook: ProviderHook, run: Run
):
    hook.provider, hook.secret = name, secret
    args = (name, "--to", hook.url, "--secret", secret, *FAST, "--linger", "0")
    assert run(*args).code == 0
    assert hook.words == words


def test_the_query_of_the_hook_url_is_kept_beside_the_token(hook: ProviderHook, run: Run):
    hook.provider, hook.secret = "runpod", PLAIN
    args = ("--to", f"{hook.url}?a=1", "--secret", PLAIN, *FAST, "--linger", "0")
    assert run("runpod", *args).code == 0
    assert hook.words


@pytest.mark.parametrize(("end", "word"), [("failed", "failed"), ("expired", "expired")])
def test_a_job_ends_as_the_option_says(end: str, word: str, hook: ProviderHook, run: Run):
    assert run("standard", "--to", hook.url, "--secret", SECRET, "--end", end, *FAST).code == 0
    assert hook.words[-1] == word
    assert (hook.updates[-1].error is not None) is (end == "failed")


def test_several_jobs_have_different_ids(hook: ProviderHook, run: Run):
    ended = run("standard", "--to", hook.url, "--secret", SECRET, "--jobs", "3", "--id", "a", *FAST)
    assert ended.out[0]["jobs"] == ["a-1", "a-2", "a-3"]
    assert sorted(update.id for update in hook.updates) == sorted(["a-1", "a-2", "a-3"] * 4)


def test_kind_chooses_the_kind_of_jobs(hook: ProviderHook, run: Run):
    hook.provider, hook.secret = "wistia", PLAIN
    ended = run(
        "wistia", "--to", hook.url, "--secret", PLAIN, "--kind", "media", "--id", "m", *FAST
    )
    assert ended.out[0]["jobs"] == ["media:m"]
    assert hook.words == ["media.created", "media.processing", "media.ready"]


def test_without_kind_the_first_pushed_kind_is_simulated(hook: ProviderHook, run: Run):
    hook.provider, hook.secret = "wistia", PLAIN
    ended = run("wistia", "--to", hook.url, "--secret", PLAIN, *FAST)
    assert ended.out[0]["jobs"][0].startswith("media:")


def test_a_duplicate_is_the_same_push_again(hook: ProviderHook, run: Run):
    args = ("--to", hook.url, "--secret", SECRET, "--duplicates", "1", *FAST)
    ended = run("standard", *args)
    assert (ended.pushes["sent"], ended.pushes["duplicates"]) == (8, 4)
    assert sorted(hook.bodies[::]) == sorted([*{*hook.bodies}] * 2)
    assert len({update.event_id for update in hook.updates}) == 4


def test_lost_pushes_are_not_sent(hook: ProviderHook, run: Run):
    ended = run(
        "standard", "--to", hook.url, "--secret", SECRET, "--lose", "1", *FAST, "--linger", "0"
    )
    assert (ended.code, ended.pushes["lost"], hook.updates) == (0, 4, [])


def test_ends_whose_pushes_are_all_lost_are_awaited_although_nobody_polled_yet(
    hook: ProviderHook, run: Run
):
    ended = run("standard", "--to", hook.url, "--secret", SECRET, "--lose", "1", *FAST)
    assert (ended.code, hook.updates) == (4, [])
    announced, complained = ended.err.splitlines()
    assert "polls are answered for 0.01 s at most" in announced
    assert "not every end was polled" in complained


def test_a_job_of_which_every_push_is_lost_can_be_polled_first_when_it_has_ended(
    hook: ProviderHook,
):
    args = ("--to", hook.url, "--secret", SECRET, "--lose", "1", *FAST, "--id", "a")
    with running("standard", *args, stderr=subprocess.PIPE) as run:
        assert run.process.stderr
        assert "polls are answered" in run.process.stderr.readline()  # the job has ended
        assert read("standard", "a", run.call("/jobs/a")).state == "succeeded"
        assert run.ended()[0] == 0


@pytest.mark.parametrize("path", ["", "/"])
def test_the_url_to_push_to_needs_a_path(hook: ProviderHook, run: Run, path: str):
    ended = run("standard", "--to", hook.url.removesuffix("/hooks/acme") + path, "--secret", SECRET)
    assert (ended.code, ended.out) == (2, [])
    assert "the path of the source is missing: add /hooks/NAME" in ended.err


def test_the_same_seed_gives_the_same_order(hook: ProviderHook, run: Run):
    orders = []
    for seed in ("3", "3", "4"):
        hook.updates.clear()
        args = ("--secret", SECRET, "--reorder", "--seed", seed, *FAST)
        assert run("standard", "--to", hook.url, *args).code == 0
        orders.append([update.progress for update in hook.updates])
    assert orders[0] == orders[1] != [None, 0.25, 0.75, 1.0]


def test_a_refused_push_gives_exit_code_1(hook: ProviderHook, run: Run):
    hook.answers = [0, 401]
    ended = run("standard", "--to", hook.url, "--secret", SECRET, *FAST)
    assert (ended.code, ended.pushes["answers"]) == (1, {"202": 3, "401": 1})


def test_each_reason_of_refused_pushes_is_printed_once(hook: ProviderHook, run: Run):
    hook.answers = [401, 401, 404, 0]
    hook.response = b'{"title": "Not signed", "detail": "the clock is wrong"}'
    err = run("standard", "--to", hook.url, "--secret", SECRET, *FAST).err
    assert err.splitlines() == [
        "refused pushes: 2 with 401: Not signed: the clock is wrong",
        "refused pushes: 1 with 404: Not signed: the clock is wrong",
    ]


@pytest.mark.parametrize("response", [b"", b"<html>", b"[]", b"\xff", b"1"])
def test_a_refusal_without_a_reason_is_printed(response: bytes, hook: ProviderHook, run: Run):
    hook.answers, hook.response = [401], response
    err = run("standard", "--to", hook.url, "--secret", SECRET, *FAST).err
    assert err == "refused pushes: 1 with 401: no reason given; see the log there\n"


def test_a_wrong_secret_is_refused(hook: ProviderHook, run: Run):
    hook.provider, hook.secret = "mux", PLAIN
    ended = run("mux", "--to", hook.url, "--secret", "another", *FAST)
    assert (ended.code, ended.pushes["answers"]) == (1, {"401": 3})


def test_a_push_answered_5xx_is_retried_with_the_same_event_id(hook: ProviderHook, run: Run):
    hook.answers = [503, 500]
    ended = run("standard", "--to", hook.url, "--secret", SECRET, *FAST)
    assert ended.code == 0
    assert ended.pushes["answers"] == {"503": 1, "500": 1, "202": 4}
    assert ended.pushes["sent"] == len({update.event_id for update in hook.updates}) == 4


def test_without_a_server_the_exit_code_is_5(run: Run):
    ended = run("standard", "--to", "http://127.0.0.1:9/hooks/x", "--secret", SECRET, *FAST)
    assert ended.code == 5
    assert ended.pushes["given_up"] == 4
    assert ended.pushes["answers"] == {"none": 4 * push_sender.MAX_ATTEMPTS}


def test_a_secret_is_read_from_the_environment(
    hook: ProviderHook, run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    assert run("standard", "--to", hook.url, "--secret", "env:HOOK_SECRET", *FAST).code == 0


def test_a_secret_that_is_not_set_is_a_usage_error(hook: ProviderHook, run: Run):
    ended = run("standard", "--to", hook.url, "--secret", "env:NOT_SET_HERE", *FAST)
    assert (ended.code, hook.updates) == (2, [])
    assert "--secret env:NOT_SET_HERE: it is not set; set it, or" in ended.err


SOURCE = """\
[sources.fw]
provider = "standard"
webhook_secret = ["env:NOT_SET_HERE", "file:secret"]
status_url = "http://127.0.0.1:PORT/jobs/{id}"
[sources.other]
provider = "mux"
token = "env:NOT_SET_HERE"
"""


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(SECRET)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = tmp_path / "ringback.toml"
    file.write_text(SOURCE.replace("PORT", str(port)))
    return file


def test_a_source_is_simulated_with_its_secret_at_its_port(
    hook: ProviderHook, run: Run, configured: Path
):
    ended = run("fw", "--config", str(configured), "--to", hook.url, *FAST)
    assert (ended.code, hook.words[-1]) == (0, "succeeded")
    assert ended.out[0]["source"]["provider"] == "standard"
    assert f'"{ended.out[0]["url"]}/jobs/{{id}}"' in configured.read_text()


def test_a_source_that_holds_pushes_says_that_jobs_must_be_registered(
    hook: ProviderHook, run: Run, configured: Path
):
    words = ("fw", "--config", str(configured), "--to", hook.url, *FAST)
    assert "registered" not in run(*words).err
    text = configured.read_text()
    configured.write_text(text.replace("[sources.other]", 'track = "registered"\n[sources.other]'))
    assert "pushes are held until each job is registered: PUT it" in run(*words).err


def test_settings_that_a_source_lacks_are_printed_under_its_name(
    hook: ProviderHook, capsys: pytest.CaptureFixture[str], configured: Path
):
    words = ("--config", str(configured), "--to", hook.url, *FAST)
    for more in ((), ("--port", "0", "--end", "failed")):
        with pytest.raises(SystemExit):
            main(["simulate", "fw", *words, *more])
        assert ", where [sources.fw] polls" in capsys.readouterr().out
    hook.provider, hook.secret = "mux", PLAIN
    with pytest.raises(SystemExit):
        main(["simulate", "other", *words, "--secret", PLAIN])
    out = capsys.readouterr().out
    assert "what ringback.toml must change:\n  [sources.other]\n  base_url = " in out
    assert "token" not in out
    assert "provider = " not in out


def test_a_source_secret_that_is_not_set_is_named(hook: ProviderHook, run: Run, configured: Path):
    configured.write_text(configured.read_text().replace(', "file:secret"', ""))
    ended = run("fw", "--config", str(configured), "--to", hook.url, *FAST)
    assert ended.code == 2
    assert "sources.fw.webhook_secret: none of env:NOT_SET_HERE is set" in ended.err


def test_an_unknown_name_lists_providers_and_sources(run: Run, configured: Path):
    err = run("fv", "--config", str(configured)).err
    assert "no provider 'fv'; there are" in err
    assert "; sources are fw, other" in err


def test_a_profile_of_the_users_folder_is_simulated(hook: ProviderHook, run: Run, tmp_path: Path):
    text = 'providers = "mine"\n[sources.a]\nprovider = "b"\nwebhook_secret = "env:UNSET"\n'
    (tmp_path / "ringback.toml").write_text(text)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "acme.toml").write_text(
        '[push]\nid = "/id"\nstatus = "/state"\n[states]\ngoing = "running"\ndone = "succeeded"\n'
    )
    hook.answers = [204, 204]
    config = ("--config", str(tmp_path / "ringback.toml"))
    ended = run("acme", "--to", hook.url, *config, *FAST)
    assert (ended.code, ended.pushes["answers"]) == (0, {"204": 2})


USAGE = [
    (("nobody",), "no provider 'nobody'; there are"),
    (("cloudinary",), "cannot be polled about such jobs; name a hook to push to: --to URL"),
    (("bluesky", "--to", "http://h/hooks/b"), "does not push about such jobs"),
    (("mux", "--to", "http://h/hooks/m"), "mux signs its pushes: give the source's --secret"),
    (("standard", "--to", "http://h/hooks/m", "--secret", "x"), "`whsec_`"),
    (("aws-sns", "--to", "http://h/hooks/m"), "aws-sns cannot push: sns signs with a private key"),
    (("fal", "--to", "http://h/hooks/m"), "fal cannot push: ed25519 signs with a private key"),
    (("mux", "--to", "h/hooks", "--secret", "x"), "--to h/hooks: write http://"),
    (("mux", "--to", "http://h:x/", "--secret", "x"), "--to http://h:x/: write http://"),
    (("mux", "--to", "http://[/", "--secret", "x"), "--to http://[/: write http://"),
    (("mux", "--to", "http://h/é", "--secret", "x"), "--to http://h/é: write http://"),
    (("coconut", "--kind", "x"), "--kind x: coconut has no such kind; it has none"),
    (("mux", "--end", "canceled"), "mux has no word for canceled"),
    (("mux", "--end", "running"), "--end running: a job ends succeeded, failed"),
    (("mux", "--end", "success"), "success: a job ends succeeded, failed, canceled, expired\n"),
    (("mux", "--latency", "soon"), "--latency: `soon` is not a duration"),
    (("mux", "--id", "."), "an id is not empty"),
    (("mux", "--config", "nowhere.toml"), "nowhere.toml: cannot be read"),
]


@pytest.mark.parametrize(("args", "message"), USAGE)
def test_what_cannot_be_simulated_is_a_usage_error(args: tuple[str, ...], message: str, run: Run):
    ended = run(*args)
    assert (ended.code, ended.out) == (2, [])
    assert message in ended.err


# --- polls --------------------------------------------------------------------------------


@dataclass
class Running:
    """The command in a process of its own, and the first document that it printed."""

    process: subprocess.Popen[str]
    setup: dict[str, Any]

    def call(self, path: str, *, method: str = "GET", **headers: str) -> HttpResponse:
        where = urlsplit(self.setup["url"]).netloc
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection(where, timeout=10)) as connection:
            connection.request(method, path, headers=named)
            answer = connection.getresponse()
            received = {name.lower(): value for name, value in answer.getheaders()}
            return HttpResponse(answer.status, received, answer.read(), 0.0)

    def ended(self) -> tuple[int, dict[str, Any]]:
        out, _ = self.process.communicate(timeout=20)
        return self.process.returncode, json.loads(out)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)


@contextmanager
def running(*args: str, stderr: int | None = None) -> Iterator[Running]:
    command = [sys.executable, "-m", "processor.cli", "simulate", "--json", *args]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=os.environ
    ) as process:
        assert process.stdout
        try:
            yield Running(process, json.loads(process.stdout.readline()))
        finally:
            process.kill()


def read(name: str, job: str, answer: HttpResponse) -> StatusUpdate:
    update = provider.read_poll_response(PROFILES[name], "s", None, job, answer, 0.0)
    assert isinstance(update, StatusUpdate), update
    return update


def test_polls_are_answered_until_the_end_was_polled():
    path = "/xrpc/app.bsky.video.getJobStatus?jobId=j%2F1"
    with running("bluesky", "--id", "j/1", "--seconds", "0.5") as run:
        updates = [read("bluesky", "j/1", run.call(path))]
        while updates[-1].state != "succeeded":
            updates.append(read("bluesky", "j/1", run.call(path)))
        code, summary = run.ended()
    states = list(dict.fromkeys(update.state for update in updates))
    assert states == ["queued", "running", "succeeded"]
    assert (code, summary["polls"]) == (0, {"200": len(updates)})


def test_a_job_begins_when_it_is_first_polled():
    with running("standard", "--id", "a", "--seconds", "0") as run:
        assert run.setup["source"]["status_url"].endswith("/jobs/{id}")
        assert run.call("/jobs/unknown").status == 404
        update = read("standard", "a", run.call("/jobs/a"))
        assert run.ended()[0] == 0
    assert update.state == "succeeded"


def test_the_run_waits_until_the_end_of_every_job_was_polled():
    with running("replicate", "--jobs", "2", "--id", "p", "--seconds", "0") as run:
        assert run.setup["source"]["base_url"] == f"{run.setup['url']}/v1"
        assert run.call("/v1/predictions/p-1").status == 200
        assert run.process.poll() is None
        assert run.call("/v1/predictions/p-2").status == 200
        code, summary = run.ended()
    assert (code, summary["polls"]) == (0, {"200": 2})


def test_an_unknown_job_and_an_unknown_path_are_404():
    with running("mux", "--id", "a") as run:
        assert run.call("/video/v1/assets/b").status == 404
        assert run.call("/elsewhere/a").status == 404
        assert run.call("/elsewhere", method="POST").status == 404
        assert run.process.poll() is None


def test_throttled_polls_are_429_with_retry_after():
    with running("mux", "--id", "a", "--throttle", "1", "--seconds", "0") as run:
        answer = run.call("/video/v1/assets/a")
        run.interrupt()
        code, summary = run.ended()
    trouble = provider.read_poll_response(PROFILES["mux"], "s", None, "a", answer, 0.0)
    assert isinstance(trouble, PollFailure)
    assert (trouble.kind, trouble.retry_after) == ("throttled", 1.0)
    assert (code, summary["polls"]) == (0, {"429": 1})


def listed(name: str, kind: str | None, answer: HttpResponse) -> dict[str, str]:
    """The jobs of a list and their statuses, in order."""
    found = provider.read_list_response(PROFILES[name], "s", kind, answer, 0.0)
    assert isinstance(found, ListedJobs), found
    return {job.update.id: job.update.status for job in found.jobs}


def test_a_list_has_the_jobs_that_its_request_names_and_ends_the_run():
    path = "/client/v4/accounts/any/stream?id="
    with running("cloudflare-stream", "--jobs", "3", "--id", "v", "--seconds", "0") as run:
        found = listed("cloudflare-stream", None, run.call(f"{path}v-3,other,v-1"))
        assert found == {"v-3": "ready", "v-1": "ready"}
        assert run.process.poll() is None
        run.call(f"{path}v-2")
        assert run.ended()[0] == 0


def test_pages_of_a_list_have_all_jobs_once():
    path = "/v1/messages/batches?limit=100"
    with running("anthropic", "--jobs", "150", "--id", "b", "--seconds", "0") as run:
        first = listed("anthropic", None, run.call(path))
        second = listed("anthropic", None, run.call(f"{path}&after_id={list(first)[-1]}"))
    assert (len(first), len(second), len({**first, **second})) == (100, 50, 150)


def test_numbered_pages_of_a_list_have_all_jobs_once():
    path = "/video/v1/assets?limit=100"
    with running("mux", "--jobs", "150", "--id", "a", "--seconds", "0") as run:
        first = listed("mux", None, run.call(path))
        second = listed("mux", None, run.call(f"{path}&page=2"))
    assert (len(first), len(second), len({**first, **second})) == (100, 50, 150)


def test_a_list_has_only_submitted_jobs_once_one_was_submitted():
    with running("replicate", "--jobs", "3", "--id", "p", "--seconds", "60") as run:
        run.call("/submit", method="POST")
        assert listed("replicate", None, run.call("/v1/predictions")) == {"p-1": "starting"}


def test_a_list_of_less_than_whole_answers_does_not_end_the_run():
    with running("replicate", "--id", "p", "--seconds", "0") as run:
        assert listed("replicate", None, run.call("/v1/predictions")) == {"p": "succeeded"}
        assert run.process.poll() is None
        run.call("/v1/predictions/p")
        assert run.ended()[0] == 0


def test_a_cancel_call_ends_its_job():
    path = "/v1/predictions/p"
    with running("replicate", "--id", "p", "--seconds", "60") as run:
        assert run.call(f"{path}/cancel", method="POST").status == 404  # it has not begun
        run.call(path)
        assert run.call(path, method="DELETE").status == 404
        canceled = run.call(f"{path}/cancel", method="POST")
        assert read("replicate", "p", canceled).state == "canceled"
        assert run.call(f"{path}/cancel", method="POST").status == 409
        assert read("replicate", "p", run.call(path)).state == "canceled"
        assert run.ended()[0] == 0


def test_a_canceled_job_pushes_its_end_and_nothing_after_that(hook: ProviderHook):
    hook.provider, hook.secret = "github", PLAIN
    args = ("--to", hook.url, "--secret", PLAIN, "--id", "7", "--seconds", "3")
    with running("github", *args) as run:
        until(lambda: hook.updates)  # it has begun
        answer = run.call("/repos/acme/site/actions/runs/7/cancel", method="POST")
        assert read("github", "7", answer).state == "canceled"
        assert run.ended()[0] == 0
    assert [update.state for update in hook.updates] == ["queued", "canceled"]


def test_a_poll_with_the_current_etag_is_304():
    path = "/repos/acme/site/actions/runs/7"
    with running("github", "--id", "7", "--seconds", "60") as run:
        first = run.call(path)
        again = run.call(path, If_None_Match=first.headers["etag"])
        other = run.call(path, If_None_Match='"other"')
    assert (first.status, again.status, again.body, other.status) == (200, 304, b"", 200)


def test_mirrored_paths_are_answered():
    with running("wistia", "--id", "5", "--seconds", "60") as run:
        answers = [run.call("/modern/background_job_status/5") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]


def test_an_answer_without_a_body_is_sent():
    with running("http-202", "--id", "a", "--seconds", "60") as run:
        assert run.call("/jobs/a").status in {200, 202}
        run.interrupt()
        assert run.ended()[0] == 0


def test_submit_begins_the_next_job_and_returns_its_status_url():
    with running("azure-async", "--jobs", "1", "--id", "op", "--seconds", "0") as run:
        answer = run.call("/submit", method="POST")
        update = provider.read_submit_response(
            PROFILES["azure-async"], "s", "op", answer.status, answer.headers, answer.body, 0.0
        )
        assert update.params == {"status_url": f"{run.setup['url']}/jobs/op"}
        assert run.call("/submit", method="POST").status == 409
        assert run.call(urlsplit(update.params["status_url"]).path).status == 200
        assert run.ended()[0] == 0


def test_pushed_jobs_can_be_polled_while_it_lingers(hook: ProviderHook):
    args = ("--to", hook.url, "--secret", SECRET, "--id", "a", *FAST, "--linger", "30")
    with running("standard", *args) as run:
        update = read("standard", "a", run.call("/jobs/a"))
        while update.state != "succeeded":
            update = read("standard", "a", run.call("/jobs/a"))
        run.interrupt()
        code, summary = run.ended()
    assert code == 0
    assert set(summary["polls"]) == {"200"}


def test_a_port_in_use_is_a_usage_error(hook: ProviderHook, run: Run):
    port = str(urlsplit(hook.url).port)
    ended = run("mux", "--port", port)
    assert ended.code == 2
    assert f"cannot listen on port {port}" in ended.err


# --- what people see ----------------------------------------------------------------------


def test_the_text_output_shows_what_to_configure_and_a_summary(
    hook: ProviderHook, capsys: pytest.CaptureFixture[str]
):
    hook.provider, hook.secret = "api.video", PLAIN
    args = ("--to", hook.url, "--secret", PLAIN, "--id", "v", *FAST)
    with pytest.raises(SystemExit):
        main(["simulate", "api.video", *args])
    out, err = capsys.readouterr()
    assert "[sources.api-video]" in out
    assert 'provider = "api.video"' in out
    assert 'token = "any"' in out
    assert "pushes: 1 sent, 0 duplicates, 0 lost; answers: 202 x1" in out
    assert "polls: none" in out
    assert err == ""


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--linger", "0"), ["counts only after a poll confirms it: give --linger 60"]),
        (("--linger", "0.01"), ["a poll confirms it: polls are answered for 0.01 s"]),
        ((), ["polls are answered for 0.01 s at most", "not every end was polled: check"]),
    ],
)
def test_an_end_that_must_be_confirmed_is_announced(
    more: tuple[str, ...], says: list[str], hook: ProviderHook, run: Run
):
    hook.provider, hook.secret = "revai", PLAIN
    ended = run("revai", "--to", hook.url, "--secret", PLAIN, *FAST, *more)
    err = ended.err.splitlines()
    assert ended.code == (0 if more else 4)
    assert [words in line for words, line in zip(says, err, strict=True)] == [True] * len(says)


def test_if_no_push_was_accepted_no_poll_is_awaited(hook: ProviderHook, run: Run):
    hook.provider, hook.secret = "revai", "another"
    ended = run("revai", "--to", hook.url, "--secret", PLAIN, *FAST)
    assert ended.code == 1
    assert "counts only after a poll" not in ended.err


def test_the_run_ends_when_the_end_was_confirmed(hook: ProviderHook):
    hook.provider, hook.secret = "revai", PLAIN
    args = ("revai", "--to", hook.url, "--secret", PLAIN, "--id", "a", *FAST)
    with running(*args) as run:
        while run.call("/speechtotext/v1/jobs/a").body.find(b"transcribed") < 0:
            pass
        assert run.ended()[0] == 0


def test_ends_whose_pushes_were_lost_can_be_polled(hook: ProviderHook):
    seed = next(n for n in range(999) if _lost(n) == [False, False, False, True])
    args = ("--to", hook.url, "--secret", SECRET, "--lose", "0.5", "--seed", str(seed), *FAST)
    with running("standard", *args, "--id", "a") as run:
        while read("standard", "a", run.call("/jobs/a")).state != "succeeded":
            pass
        code, summary = run.ended()
    assert (code, summary["pushes"]["lost"]) == (0, 1)
    assert {update.state for update in hook.updates} == {"queued", "running"}


def test_the_end_of_a_registered_job_whose_pushes_are_all_lost_can_be_polled(hook: ProviderHook):
    args = ("--to", hook.url, "--secret", SECRET, "--lose", "1", "--seconds", "2", "--id", "a")
    with running("standard", *args, stderr=subprocess.PIPE) as run:
        assert read("standard", "a", run.call("/jobs/a")).state != "succeeded"
        assert run.process.stderr
        assert "polls are answered" in run.process.stderr.readline()  # the job has ended
        assert read("standard", "a", run.call("/jobs/a")).state == "succeeded"
        assert run.ended()[0] == 0


def _lost(seed: int) -> list[bool]:
    """Which of four pushes half a loss loses."""
    rng = random.Random(seed)
    return [rng.random() < 0.5 for _ in range(4)]
