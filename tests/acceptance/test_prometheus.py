"""A real Prometheus scrapes Ringback, with the alert rules loaded, and answers what the board asks."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from .conftest import Shared
from .feed import Caller, push
from .processes import KEY, free_port
from .sink import Sink
from .waiting import until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]

DEPLOY = Path(__file__).parents[2] / "deploy"
SETTINGS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: ringback
    authorization: {{credentials_file: "{key}"}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus:
    """Asks a Prometheus."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def get(self, path: str, **query: str) -> Any:
        """The data of an answer, which must be good; None before it is ready."""
        try:
            async with self._session.get(f"{self._url}/api/v1/{path}", params=query) as answer:
                if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
                    return None
                found = await answer.json()
        except aiohttp.ClientConnectionError:
            return None
        assert found["status"] == "success", found
        return found["data"]


@asynccontextmanager
async def prometheus(folder: Path, port: int) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes a port."""
    (folder / "key").write_text(KEY)
    rules, key = DEPLOY / "prometheus/ringback.rules.yml", folder / "key"
    (folder / "prometheus.yml").write_text(SETTINGS.format(rules=rules, key=key, port=port))
    ours = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={ours}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            yield Prometheus(session, f"http://{ours}")
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")
async def test_prometheus_scrapes_evaluates_the_rules_and_answers_the_board(
    shared: Shared, caller: Caller, source: str, tmp_path: Path
) -> None:
    async with Sink() as sink, prometheus(tmp_path, shared.system.port) as theirs:
        target = await caller.subscribe(sink, source)
        assert await caller.push(push(source, "1", "succeeded")) == 202

        async def scraped() -> bool:
            query = (
                f'ringback_delivery_attempts_total{{subscription="{target}",process="worker-1"}}'
            )
            found = await theirs.get("query", query=query)
            return bool(found and found["result"])

        await until_it(scraped, 40, "a scrape with the delivery")

        async def evaluated() -> bool:
            (group,) = (await theirs.get("rules"))["groups"]
            return all(rule["health"] == "ok" for rule in group["rules"])

        await until_it(evaluated, 20, "an evaluation of all rules")
        board = json.loads((DEPLOY / "grafana/ringback.json").read_text())
        for panel in board["panels"]:
            for asked in panel["targets"]:
                query = asked["expr"].replace("$__rate_interval", "1m")
                assert (await theirs.get("query", query=query))["resultType"] == "vector"


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
async def test_promtool_finds_nothing_wrong_with_the_metrics(
    shared: Shared, caller: Caller, source: str
) -> None:
    async with Sink() as sink:
        target = await caller.subscribe(sink, source)
        assert await caller.push(push(source, "1", "succeeded")) == 202
        text = ""

        async def counted() -> bool:
            nonlocal text
            text = (await caller.ask("/metrics")).text
            return f'subscription="{target}"' in text

        await until_it(counted, 20, "the delivery in /metrics")
    process = await asyncio.create_subprocess_exec(
        *("promtool", "check", "metrics"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(text.encode())
    assert (process.returncode, said.decode()) == (0, "")
