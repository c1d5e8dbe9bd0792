"""The examples of the README: the Starlette receiver runs, the others are Python at least."""

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import standardwebhooks

import ringback

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # Standard Webhooks' own example


@pytest.mark.parametrize("block", BLOCKS, ids=[str(n) for n in range(len(BLOCKS))])
def test_every_block_is_python(block: str) -> None:
    compile(block, "README.md", "exec")


async def test_the_starlette_receiver_takes_genuine_callbacks_alone(monkeypatch: Any) -> None:
    monkeypatch.setenv("CALLBACK_SECRET", SECRET)
    names: dict[str, Any] = {}
    exec(next(block for block in BLOCKS if "Starlette(" in block), names)  # noqa: S102
    now = datetime.fromtimestamp(int(time.time()), UTC)
    document = {"type": "job.succeeded", "timestamp": now.isoformat(), "data": {"id": "1"}}
    body = json.dumps(document)
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(SECRET).sign("evt_1", now, body),
    }
    transport = httpx.ASGITransport(names["app"])
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        good = await client.post("/callbacks", content=body, headers=headers)
        forged = await client.post("/callbacks", content=body + " ", headers=headers)
    assert (good.status_code, forged.status_code) == (204, 401)


@pytest.mark.parametrize("client", [ringback.Ringback, ringback.AsyncRingback])
def test_the_readme_names_every_call(client: type) -> None:
    calls = [name for name in vars(client) if not name.startswith("_") and name != "close"]
    assert [name for name in calls if f"`{name}(" not in README] == []
