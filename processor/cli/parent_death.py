"""Children that end when their parent does, even if the parent was killed with SIGKILL."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def ends_with_parent(sig: signal.Signals) -> Callable[[], None] | None:
    """Give what a new child runs before its exec, or None where it cannot be had.

    Only Linux has it. It counts the death of the thread that made the child, and code between
    fork and exec is safe only without threads: so it is for the main thread of a process that
    has no other.
    """
    alone = threading.active_count() == 1 and threading.current_thread() is threading.main_thread()
    if sys.platform != "linux" or not alone:
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def before_exec() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(sig))
        if os.getppid() != parent:  # it died before we asked
            os.kill(os.getpid(), sig)

    return before_exec
