"""Prints how many files and functions a push, a poll and a new subscription pass through.

    python tools/hops.py [TREE] [--json] [--pairs N] [--calls] [--rounds N]

TREE is a checkout of this repository, by default the one that contains this program. Its web
application and the pumps of its worker run in this process, with an embedded Redis, and with a
subscriber and a provider on a loopback port:
    push    POST /hooks/mute of a finished job, signed as Standard Webhooks, until the answer 202;
            then the worker commits the job, and delivers the event to one subscription
    poll    the worker polls a watched job that has finished, and commits it; then it delivers
    create  POST /v1/subscriptions until the answer 201

Requests are handed to the application without HTTP parsing. There is no heartbeat, clock or
watchdog. Each way is walked once before it is counted, so that imports, new connections and empty
caches do not count. Of the rounds that follow, the one with the fewest moves is printed: how often
a coroutine waits differs between them.

For each stretch of the way:
    files       distinct Python files of processor/ and workers/ in which a function was called
    functions   distinct functions called
    moves       calls whose file is not the file of the call before
    calls       calls as `sys.setprofile` reports them: a coroutine that resumes counts again
    starts      moves when resumed coroutines do not count; nearly the same in every run

`--pairs N` lists the N pairs of files with the most moves between them, `--calls` all functions in
the order in which they start.
"""

import argparse
import ast
import asyncio
import base64
import hmac
import importlib
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

PACKAGES = ("processor", "workers")
KEY = b"a secret that was made up"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
API_KEY = "a-key-that-was-made-up"
PATIENCE = 10.0  # seconds
ROUNDS = 5  # by default
SUCCESS = range(200, 300)
POLL_DUE = 0.5  # seconds after which a watched job is due

CONFIGURATION = """
providers = "profiles"

[sources.mute]
provider = "standard"
webhook_secret = "{secret}"

[sources.lab]
provider = "lab"
base_url = "{url}"

[egress]
allow = ["127.0.0.1"]
"""

LAB = """
[poll]
request = "GET /jobs/{id}"
id = "/id"
aliases = ["/alias"]
status = "/status"
progress = { at = "/progress" }
every = ["50ms", "1s"]

[states]
running = "running"
succeeded = "succeeded"
"""


class Call(NamedTuple):
    """One call of a function, as reported."""

    file: str
    function: str
    starts: bool  # False: a coroutine or generator resumes


class Stretch(NamedTuple):
    """The calls of a way or of one part of it, in their order."""

    name: str
    calls: list[Call]

    def moves(self, *, starts: bool = False) -> Counter[tuple[str, str]]:
        """How often a call in one file was followed by a call in another, by both files."""
        files = [call.file for call in self.calls if call.starts or not starts]
        return Counter((a, b) for a, b in pairwise(files) if a != b)

    def counts(self) -> dict[str, int]:
        """The columns of the table."""
        return {
            "files": len({call.file for call in self.calls}),
            "functions": len({call[:2] for call in self.calls}),
            "moves": self.moves().total(),
            "calls": len(self.calls),
            "starts": self.moves(starts=True).total(),
        }


class Recorder:
    """Records the calls of functions of one tree, in all threads."""

    def __init__(self, tree: Path) -> None:
        """Calls of other code are ignored."""
        self._tree = tree
        self._names: dict[CodeType, str | None] = {}
        self._calls: list[Call] = []

    @contextmanager
    def recording(self) -> Iterator[list[Call]]:
        """Append each call to the list that this gives."""
        calls = self._calls = []
        threading.setprofile(self._record_call)
        sys.setprofile(self._record_call)
        try:
            yield calls
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _record_call(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        if code not in self._names:
            self._names[code] = self._file_of(code)
        if file := self._names[code]:
            self._calls.append(Call(file, code.co_qualname, _starts(frame)))

    def _file_of(self, code: CodeType) -> str | None:
        path = Path(code.co_filename)
        if not path.is_relative_to(self._tree):
            return None
        file = path.relative_to(self._tree)
        return str(file) if file.parts[0] in PACKAGES else None


def _starts(frame: FrameType) -> bool:
    """Whether a function starts: where it resumes, the argument of its RESUME is not 0."""
    return frame.f_code.co_code[frame.f_lasti + 1] == 0


class Tree:
    """The code of one tree. Classes and functions are found by name, in whichever file they are."""

    def __init__(self, root: Path) -> None:
        """Put the tree first among the places that Python imports from."""
        self._root = root
        sys.path.insert(0, str(root))

    def find(self, folder: str, name: str, *older: str) -> Any:
        """The class or function of this name that exactly one file below a folder defines.

        `older` are its names in older trees.
        """
        found = [
            (".".join(path.relative_to(self._root).with_suffix("").parts), each)
            for path in (self._root / folder).rglob("*.py")
            for each in {name, *older} & _defined(path)
        ]
        if len(found) != 1:
            raise SystemExit(f"{folder} must define {name} once; found {found or 'nothing'}")
        module, each = found[0]
        return getattr(importlib.import_module(module), each)


def _defined(path: Path) -> set[str]:
    body = ast.parse(path.read_text()).body
    definitions = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in body if isinstance(node, definitions)}


class Peer(BaseHTTPRequestHandler):
    """A subscriber that answers 200, and a provider whose jobs have all succeeded."""

    protocol_version = "HTTP/1.1"
    posts = 0

    def do_POST(self) -> None:
        """Receive an event."""
        self.rfile.read(int(self.headers["content-length"]))
        type(self).posts += 1
        self._answer({})

    def do_GET(self) -> None:
        """Answer a poll."""
        self._answer({"id": self.path.rpartition("/")[2], "status": "succeeded", "progress": 100})

    def _answer(self, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def peer() -> Iterator[str]:
    """Run a `Peer` in a thread; gives its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


class Walker:
    """The web application and the pumps of a worker in one process."""

    def __init__(self, tree: Tree, context: Any, url: str, recorder: Recorder) -> None:
        """`url` is where the subscriber and the provider are."""
        self._url = url
        self._record = recorder.recording
        self._app = tree.find("processor/web", "build")(
            context, tree.find("processor/web", "Health")(context)
        )
        outage = tree.find("processor/service", "Outage")("hops")
        self._pumps = tree.find("workers", "all_pumps")(context, outage)

    async def request(self, method: str, path: str, body: Any, headers: dict[str, str]) -> None:
        """Hand a request to the application, which must answer 2xx."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent: list[Any] = []
        headers = {"content-type": "application/json", "host": "localhost", **headers}
        headers["content-length"] = str(len(content))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8080),
        }
        received = iter([{"type": "http.request", "body": content, "more_body": False}])

        async def receive() -> Any:
            message = next(received, None)
            if message is None:
                await asyncio.Event().wait()
            return message

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        if sent[0]["status"] not in SUCCESS:
            raise SystemExit(f"{method} {path}: {sent}")

    async def api(self, method: str, path: str, body: Any) -> None:
        """Call the API with a key."""
        await self.request(method, path, body, {"authorization": f"Bearer {API_KEY}"})

    async def subscribe(self) -> None:
        """POST a subscription."""
        await self.api("POST", "/v1/subscriptions", {"url": f"{self._url}/in", "secret": SECRET})

    async def push(self, job: str) -> None:
        """POST a push."""
        body = json.dumps({"id": job, "status": "succeeded"}).encode()
        stamp = str(int(time.time()))
        mac = hmac.digest(KEY, f"{job}.{stamp}.".encode() + body, "sha256")
        signature = "v1," + base64.b64encode(mac).decode()
        headers = {
            "webhook-id": job,
            "webhook-timestamp": stamp,
            "webhook-signature": signature,
        }
        await self.request("POST", "/hooks/mute", body, headers)

    async def work(self, backlog: str) -> None:
        """Run one pump, and wait for every task that this starts."""
        before = asyncio.all_tasks()
        running = asyncio.create_task(self._pumps[backlog].run())
        async with asyncio.timeout(PATIENCE):
            while began := asyncio.all_tasks() - before:
                await asyncio.wait(began)
        await running

    async def work_and_deliver(self, backlog: str) -> None:
        """Run one pump; exactly one event must be delivered by what it commits."""
        had = Peer.posts
        await self.work(backlog)
        if Peer.posts != had + 1:
            raise SystemExit(f"{Peer.posts - had} events were delivered")

    async def walk_push(self, job: str) -> list[Stretch]:
        """Push a finished job, and have its event delivered."""
        with self._record() as taken:
            await self.push(job)
        with self._record() as worked:
            await self.work_and_deliver("ingest")
        return [
            Stretch("push", taken + worked),
            Stretch("  request to 202", taken),
            Stretch("  claim to settled", worked),
        ]

    async def walk_poll(self, job: str) -> list[Stretch]:
        """Poll a watched job that has finished, and have its event delivered."""
        await self.api("PUT", f"/v1/jobs/lab/{job}", {})
        await asyncio.sleep(POLL_DUE)
        with self._record() as polled:
            await self.work_and_deliver("poll")
        return [Stretch("poll", polled)]

    async def walk_create(self, _: str) -> list[Stretch]:
        """Create one more subscription."""
        with self._record() as created:
            await self.subscribe()
        return [Stretch("create", created)]


async def walk(
    tree: Tree, recorder: Recorder, settings: Any, url: str, rounds: int
) -> list[Stretch]:
    """Walk all ways, each several times."""
    async with tree.find("processor/service", "open_context", "context")(settings) as context:
        await tree.find("processor/service", "wait_until_ready", "ready")(
            context.store, tree.find("processor/service", "Outage")("hops")
        )
        walker = Walker(tree, context, url, recorder)
        await walker.subscribe()
        ways = (walker.walk_push, walker.walk_poll, walker.walk_create)
        return [part for way in ways for part in await _shortest(way, rounds)]


async def _shortest(way: Callable[[str], Awaitable[list[Stretch]]], rounds: int) -> list[Stretch]:
    await way("first")
    walks = [await way(f"job-{number}") for number in range(rounds)]
    return min(walks, key=lambda walk: walk[0].moves().total())


def measure(root: Path, rounds: int = ROUNDS) -> list[Stretch]:
    """Walk all ways in one tree."""
    tree, recorder = Tree(root), Recorder(root)
    with tempfile.TemporaryDirectory() as folder, peer() as url:
        home = Path(folder)
        (home / "profiles").mkdir()
        (home / "profiles" / "lab.toml").write_text(LAB)
        (home / "ringback.toml").write_text(CONFIGURATION.format(secret=SECRET, url=url))
        redis = tree.find("processor/cli", "EmbeddedRedis")(home / "data")
        environ = {"REDIS_URL": redis.start(), "RINGBACK_API_KEYS": API_KEY}
        try:
            settings = tree.find("processor/config", "load")(home / "ringback.toml", environ)
            return asyncio.run(walk(tree, recorder, settings, url, rounds))
        finally:
            redis.kill()


def table(stretches: Iterable[Stretch]) -> str:
    """The counts of all stretches as text."""
    columns = list(Stretch("", []).counts())
    lines = [" " * 20 + "".join(f"{name:>11}" for name in columns)]
    for stretch in stretches:
        counts = stretch.counts()
        lines.append(f"{stretch.name:20}" + "".join(f"{counts[name]:11}" for name in columns))
    return "\n".join(lines)


def pairs(stretch: Stretch, most: int) -> str:
    """The pairs of files with the most moves between them, in either direction."""
    found: Counter[tuple[str, ...]] = Counter()
    for pair, number in stretch.moves().items():
        found[tuple(sorted(pair))] += number
    rows = [f"{number:5}  {' = '.join(pair)}" for pair, number in found.most_common(most)]
    return "\n".join(["", stretch.name.strip(), *rows])


def order(stretch: Stretch) -> str:
    """All functions in the order in which they start."""
    rows = [f"  {call.file}:{call.function}" for call in stretch.calls if call.starts]
    return "\n".join(["", stretch.name.strip(), *rows])


def main() -> None:
    """Print the counts of one tree."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("tree", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--pairs", type=int, default=0, help="list the busiest pairs of files")
    parser.add_argument("--calls", action="store_true", help="list all calls in their order")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each way is counted")
    given = parser.parse_args()
    stretches = measure(given.tree.resolve(), given.rounds)
    if given.json:
        print(json.dumps({s.name.strip(): s.counts() for s in stretches}))
        return
    print(table(stretches))
    for stretch in stretches:
        if given.pairs:
            print(pairs(stretch, given.pairs))
        if given.calls:
            print(order(stretch))


if __name__ == "__main__":
    main()
