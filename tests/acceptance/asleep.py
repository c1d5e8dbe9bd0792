"""Runs a process on a machine that may sleep: while a file exists, its clock is ten minutes behind.

A monotonic clock stands still while the machine sleeps, and Redis' time does not. So every
process that carries Redis' time on by itself comes back with a time that is long past.
"""

import runpy
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from processor.store import connection

SLEPT = 600.0  # seconds

if __name__ == "__main__":
    file = Path(sys.argv[2])
    slow = SimpleNamespace(monotonic=lambda: time.monotonic() - SLEPT * file.exists())
    connection.time = slow  # type: ignore[attr-defined] # that is the point
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
