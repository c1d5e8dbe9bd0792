"""The dashboard in a real browser: every page and button, live updates, no complaint of the browser.

Playwright is where `make test` puts it, in an environment of its own, `.venv-browser`; the browser
is a `chromium` on the PATH, as Debian's package installs it. axe-core is with the other Node packages.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from aiohttp import web

from .conftest import standard
from .feed import Caller, push
from .processes import KEY, free_port
from .provider import Provider
from .sink import Call, Sink
from .system import WEB, System
from .waiting import until_it

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-browser" / "bin" / "python"
CHROMIUM = shutil.which("chromium")
AXE = Path(sys.prefix, "npm", "node_modules", "axe-core", "axe.min.js")
HAS_AXE = AXE.exists()
HTML = "<img src=x onerror=alert(1)>"
pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="no `chromium` on the PATH"),
    pytest.mark.skipif(not PYTHON.exists(), reason="no .venv-browser: run `make browser`"),
]


def request(job: str, status: str, shows: str, **more: Any) -> dict[str, Any]:
    """A push that the browser's script sends while a page is open, and what the page shows then."""
    made = push("service", job, status, **more)
    path = f"/hooks/{made.source}"
    return {"path": path, "body": made.body, "headers": made.headers, "shows": shows}


async def fill(caller: Caller, good: Sink, bad: Sink) -> dict[str, str]:
    """A job of each sort, a group, a subscription that works and one that is disabled."""
    working = await caller.subscribe(good, "service")
    failing = await caller.subscribe(bad, "service")
    await caller.call("PUT", f"/v1/jobs/service/{quote(HTML, safe='')}", {"metadata": {"of": HTML}})
    for progress in (0.2, 0.6):
        await caller.push(push("service", "film", "running", progress=progress))
    for job, status in (("done", "succeeded"), ("bad", "failed"), ("done", "running")):
        await caller.push(push("service", job, status))
    await caller.call(
        "POST", "/v1/groups", {"id": "night", "jobs": ["service/film", "service/done"]}
    )

    async def disabled() -> bool:
        return bool((await caller.get(f"/v1/subscriptions/{failing}"))["disabled"])

    await until_it(disabled, 20, "its 410 disables the subscription")
    return {
        "job": "/dashboard/jobs/service/bad",
        "subscription": f"/dashboard/subscriptions/{working}",
        "disabled": f"/dashboard/subscriptions/{failing}",
    }


async def running(path: str) -> web.Response:
    """Every job that the provider is asked about is running."""
    return web.json_response({"id": unquote(path[1:]), "status": "running"})


async def gone(_: Call) -> web.Response:
    return web.Response(status=410)


async def test_a_browser_finds_nothing_wrong(plan: Callable[..., System]):
    """Every page on a desktop and a phone, light and dark; every button; updates without a reload."""
    pictures = os.environ.get("RINGBACK_TEST_PICTURES", "")
    provider = Provider(free_port(), running)
    async with provider, Sink() as good, Sink(gone) as bad:
        system = plan(standard("service", provider.port)).start_all()
        async with Caller(system.url) as caller:
            places = await fill(caller, good, bad)
        pages = {
            "overview": "/",
            "jobs": "/dashboard/jobs",
            "job": places["job"],
            "html": f"/dashboard/jobs/service/{quote(HTML, safe='')}",
            "film": "/dashboard/jobs/service/film",
            "groups": "/dashboard/groups",
            "group": "/dashboard/groups/night",
            "subscriptions": "/dashboard/subscriptions",
            "subscription": places["subscription"],
            "disabled": places["disabled"],
            "sources": "/dashboard/sources",
        }
        pushes = {
            "/": [request("fresh", "running", "service/fresh")],
            "/dashboard/jobs/service/film": [request("film", "succeeded", "“succeeded”")],
        }
        visit = {
            **places,
            "url": system.url,
            "key": KEY,
            "chromium": CHROMIUM,
            "axe": str(AXE) if HAS_AXE else "",
            "pages": pages,
            "pushes": pushes,
            "above": ("/dashboard/jobs", request("above", "running", "above")),
            "later": [request(f"later-{n}", "running", "") for n in range(2)],
            "pictures": pictures,
        }
        said = await visited(system, visit)
    assert json.loads(said) == []


async def visited(system: System, visit: dict[str, Any]) -> bytes:
    """Run the script of the visit, and do to the server what it asks for; its last line."""
    script, pipe = Path(__file__).with_name("visit_dashboard.py"), asyncio.subprocess.PIPE
    browser = await asyncio.create_subprocess_exec(PYTHON, script, stdin=pipe, stdout=pipe)
    assert browser.stdin
    assert browser.stdout
    browser.stdin.write(json.dumps(visit).encode() + b"\n")
    last = b""
    async for line in browser.stdout:
        last = line
        if line == b"stop\n":
            system.children["web"].terminate()
            await asyncio.to_thread(system.children["web"].wait)
        elif line == b"start\n":
            await asyncio.to_thread(system.start, "web", *WEB)
        else:
            continue
        browser.stdin.write(b"\n")
    assert await browser.wait() == 0
    return last
