"""The programs in tools/ that measure the code: they run on this tree, and no folder has a circle."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def run(tool: str, *options: str) -> Any:
    """What a tool prints as JSON."""
    argv = [sys.executable, str(ROOT / "tools" / tool), "--json", *options]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_no_folder_has_modules_that_import_each_other() -> None:
    folders = run("structure.py")["folders"]
    assert {"processor", "processor/service", "workers"} <= {f["folder"] for f in folders}
    assert [f for f in folders if f["circles"]] == []


def test_a_push_a_poll_and_a_new_subscription_are_walked() -> None:
    counts = run("hops.py", "--rounds", "1")
    assert {"push", "poll", "create"} <= set(counts)
    for stretch in counts.values():
        assert 0 < stretch["files"] <= stretch["functions"] <= stretch["calls"]
