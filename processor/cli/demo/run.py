"""The play: jobs are watched, providers speak, callbacks come, and all of it is checked."""

import base64
import secrets as random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any

from processor.cli import output
from processor.cli.client import Client, path
from processor.cli.demo import output as demo_output
from processor.cli.demo.payloads import SCENES, Scene
from processor.cli.demo.provider_server import Providers
from processor.cli.demo.push_client import Push, pushes, send
from processor.cli.demo.sandbox import ringback
from processor.cli.demo.subscriber_server import Callback, Subscriber
from processor.cli.exit_codes import Exit
from processor.cli.progress import Board, board

PATIENCE = 20.0  # seconds until all callbacks must have come
LINGER = 1.0  # seconds in which none may come a second time
FRAME = 0.2
FORGED = 401
COMPLETIONS = ("job.succeeded", "job.failed", "job.canceled", "job.expired")


def play(*, json: bool) -> Exit:
    """Play it all; gives how it ended."""
    secrets = {"wistia": random.token_hex(16), "encoder": _secret(), "demo": _secret()}
    providers, subscriber = Providers(SCENES), Subscriber(secrets["demo"])
    if not json:
        demo_output.cast()
    # Ringback first: our servers' threads, once they run, would be in the way of a safe fork.
    with (
        providers,
        subscriber,
        ringback(providers.url, subscriber.url, secrets) as (url, key),
        _serving(providers),
        _serving(subscriber),
    ):
        return _perform(Client(url, key), subscriber, secrets, json=json)


def judge(callbacks: Sequence[Callback], refused: Sequence[str]) -> list[str]:
    """Say what is wrong: every job must have come to its end, under one webhook-id."""
    complaints = [f"a callback was not verified: {reason}" for reason in refused]
    for scene in SCENES:
        ends = _completions(callbacks, scene)
        if {callback.type for callback in ends} != {scene.ends}:
            got = ", ".join(sorted({callback.type for callback in ends})) or "nothing"
            complaints.append(f"{scene.source}/{scene.id}: expected {scene.ends}, got {got}")
        elif len({callback.id for callback in ends}) > 1:
            complaints.append(f"{scene.source}/{scene.id}: {scene.ends} came as several events")
    return complaints


def _perform(
    client: Client, subscriber: Subscriber, secrets: dict[str, str], *, json: bool
) -> Exit:
    begun = time.monotonic()
    for scene in SCENES:
        wish = {"every": "0.5s"} if scene.asked_at else False
        client.call("PUT", _path(scene), {"poll": wish, "metadata": {"demo": True}})
    with board(silent=json) as shown:
        complaints = _until_told(client, subscriber, secrets, shown)
    complaints += judge(subscriber.verified, subscriber.refused)
    seconds = time.monotonic() - begun
    if json:
        told = [vars(callback) for callback in subscriber.verified]
        output.document({"ok": not complaints, "complaints": complaints, "callbacks": told})
    else:
        for scene in SCENES:
            demo_output.timeline(scene, client.get(_path(scene) + "/history")["items"])
        demo_output.verdict(complaints, len(subscriber.verified), seconds)
    return Exit.FAILED if complaints else Exit.GOOD


def _until_told(
    client: Client, subscriber: Subscriber, secrets: dict[str, str], shown: Board
) -> list[str]:
    """Push what is due and show the jobs, until every end was told and none a second time."""
    begun = time.monotonic()
    waiting = [push for scene in SCENES if not scene.asked_at for push in pushes(scene, secrets)]
    complaints: list[str] = []
    ends = begun + PATIENCE
    told = False
    while time.monotonic() < ends:
        due = [push for push in waiting if begun + push.at <= time.monotonic()]
        waiting = [push for push in waiting if push not in due]
        complaints += [wrong for push in due if (wrong := _push(client.url, push))]
        for scene in SCENES:
            shown.show(f"{scene.source}/{scene.id}", client.get(_path(scene)))
        if not (told or waiting) and all(_completions(subscriber.verified, s) for s in SCENES):
            told, ends = True, time.monotonic() + LINGER
        time.sleep(FRAME)
    return complaints


def _push(url: str, push: Push) -> str | None:
    status = send(url, push)
    right = status == FORGED if push.label == "forged" else status // 100 == 2  # noqa: PLR2004 - 2xx
    return None if right else f"{push.source}: a {push.label} push was answered {status}"


def _completions(callbacks: Sequence[Callback], scene: Scene) -> list[Callback]:
    job = (scene.source, scene.id)
    return [one for one in callbacks if one.job == job and one.type in COMPLETIONS]


def _path(scene: Scene) -> str:
    return path("v1", "jobs", scene.source, scene.id)


def _secret() -> str:
    return "whsec_" + base64.b64encode(random.token_bytes(32)).decode()


@contextmanager
def _serving(server: ThreadingHTTPServer) -> Iterator[Any]:
    """Answer from a thread while the block runs."""
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()  # refuses from now on: nobody waits for an answer at the end
        thread.join()
