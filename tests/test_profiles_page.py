"""docs/profiles.md: its commands make a provider, simulate a job of it, and watch the job.

Only ports are replaced.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from processor.cli.listen_address import free_port

PAGE = (Path(__file__).parents[1] / "docs" / "profiles.md").read_text(encoding="utf-8")
BINARIES = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


MAKE, WATCH = blocks("sh")
(CONFIGURATION,) = (block for block in blocks("toml") if "[sources.acme]" in block)


@pytest.mark.acceptance
@pytest.mark.timeout(90)
@pytest.mark.parametrize("more", ["", "--lose 1"])
def test_the_commands_work_as_they_are_written(
    more: str, tmp_path: Path, shell: Any, terminal: Any
):
    port, provider = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
    environ = {n: v for n, v in os.environ.items() if not n.startswith(("RINGBACK_", "REDIS_"))}
    environ |= {"PATH": f"{BINARIES}:{os.environ['PATH']}", "PORT": str(port)}
    environ |= {"RINGBACK_URL": f"http://127.0.0.1:{port}"}

    def run(block: str) -> str:
        block = block.replace(":8080", f":{port}").replace("--to", f"{more} --to")
        return str(shell(block, environ))

    assert "hmac-sha256" in run(MAKE)
    configuration = CONFIGURATION.replace(":9100", f":{provider}")
    (tmp_path / "ringback.toml").write_text(configuration, encoding="utf-8")
    with terminal("ringback up", environ, "Ringback is ready"):
        printed = run(WATCH)
    assert "acme/job-1  succeeded" in printed
    assert ("poll" if more else "push") in printed.splitlines()[-1].split()
