"""A log that cannot be written is lost, and stops nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOGS = """
import logging, structlog
from processor.service.runtime.logs import configure_logging
configure_logging()
for number in range(200):  # more than a buffer holds
    structlog.get_logger().warning("delivery_failed", number=number, reason="x" * 100)
    logging.getLogger("library").warning("x" * 100)
open("done", "w").close()
"""


@pytest.mark.parametrize(
    "redirected",
    ["exec 2> /dev/full", "mkfifo pipe; exec 3<> pipe 2> pipe 3<&-"],
    ids=["full disk", "reader gone"],
)
def test_a_process_whose_log_cannot_be_written_goes_on(tmp_path: Path, redirected: str) -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", f'{redirected}; exec "$0" -c "$1"', sys.executable, LOGS],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert (tmp_path / "done").exists()
    assert ended.returncode == 0
