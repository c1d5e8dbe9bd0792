"""Providers' own SDKs read the mirror, with Ringback's key as their own. No other test imports them.

They are where `make test` puts them: those of Python in an environment of their own, `.venv-sdks`,
that of Node beside the other packages that tests use.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from .conftest import hosted
from .feed import Caller
from .processes import KEY, free_port
from .provider import Provider
from .system import WEB, System
from .waiting import until_it

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-sdks" / "bin" / "python"
READY = ROOT / ".venv-sdks" / ".ready"
NODE = shutil.which("node")
MODULES = Path(sys.prefix, "npm", "node_modules")
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

SAID = {  # what the simulated providers answer: captures of each
    "openai": "batch_completed",
    "anthropic": "ended_succeeded",
    "replicate": "succeeded",
    "runway": "succeeded",
    "assemblyai": "completed",
}
READ = {  # what the SDKs make of it
    "openai": "completed",
    "anthropic": "ended",
    "replicate": "succeeded",
    "runway": "SUCCEEDED",
    "assemblyai": "completed",
}
ENCODING = {
    "jobStatus": {"jobId": "abc", "did": "did:plc:x", "state": "JOB_STATE_ENCODING", "progress": 7}
}
ATPROTO = """
const { AtpAgent } = require("@atproto/api");
const [url, key] = JSON.parse(require("fs").readFileSync(0));
const ask = async (headers) => {
  const agent = new AtpAgent({ service: url });
  const answer = await agent.app.bsky.video.getJobStatus({ jobId: "abc" }, { headers });
  return answer.data.jobStatus;
};
(async () => {
  const good = await ask({ authorization: `Bearer ${key}` });
  const bad = await ask({}).catch((error) => error.status);
  console.log(JSON.stringify([good, bad]));
})();
"""


def capture(provider: str) -> tuple[str, str, bytes]:
    """A job's id, its id for the provider, and the provider's answer about it."""
    stem = ROOT / "tests" / "providers" / provider / SAID[provider]
    job: str = tomllib.loads(stem.with_suffix(".toml").read_text())["job"]
    return job, job.rpartition(":")[2], stem.with_suffix(".json").read_bytes()


@pytest.fixture
async def asked(plan: Callable[..., System]) -> AsyncIterator[tuple[System, Provider]]:
    """A receiver with a source for each, and the provider that it asks for all of them."""
    port, answers = free_port(), {own: body for _, own, body in map(capture, SAID)}

    async def tell(path: str) -> web.Response:
        if "getJobStatus" in path:
            return web.json_response(ENCODING)
        body = answers[path.rpartition("/")[2]]
        return web.Response(body=body, content_type="application/json")

    tables = [hosted(name, name, port) for name in (*SAID, "bluesky")]
    system = plan("".join(tables) + "mirror_root = true\n")
    system.start("web", *WEB)
    async with Provider(port, tell) as provider, Caller(system.url) as caller:
        await until_it(caller.serves, 20, "the receiver answers")
        yield system, provider


@pytest.mark.skipif(not READY.exists(), reason="needs the SDKs: `make sdks`")
@pytest.mark.parametrize("final", ["", "/final"])
async def test_sdks_of_python_read_it(asked: tuple[System, Provider], final: str) -> None:
    system, provider = asked
    ids = {name: capture(name)[1] for name in SAID}
    words = {"url": system.url, "final": final, "key": KEY, "ids": ids}
    command = [str(PYTHON), str(ROOT / "tests" / "acceptance" / "sdk_calls.py")]
    assert json.loads(await asyncio.to_thread(run, command, words)) == READ
    assert len(provider.asked) == len(SAID)
    assert not any(KEY in path for _, path in provider.asked)
    assert KEY not in system.logs()


@pytest.mark.skipif(
    NODE is None or not (MODULES / "@atproto").exists(), reason="needs node and @atproto/api"
)
async def test_the_sdk_of_bluesky_for_node_reads_it_at_the_root(
    asked: tuple[System, Provider],
) -> None:
    """It takes only the origin of its service's URL."""
    system, _ = asked
    words = [f"{system.url}/mirror/bluesky", KEY]
    good, bad = json.loads(await asyncio.to_thread(run, [str(NODE), "-e", ATPROTO], words))
    assert good == ENCODING["jobStatus"]
    assert bad == 401


def run(command: list[str], request: Any) -> str:
    """What a program prints that reads a request as JSON."""
    done = subprocess.run(
        command,
        input=json.dumps(request),
        env={**os.environ, "NODE_PATH": str(MODULES)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
