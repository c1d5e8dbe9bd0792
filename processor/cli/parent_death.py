"""Child processes that end with their parent, even if the parent was killed with SIGKILL."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def ends_with_parent(sig: signal.Signals) -> Callable[[], None] | None:
    """What a new child runs before exec; None if the system does not have it.

    Only Linux has it. The signal comes when the thread that made the child ends, and code between
    fork and exec is safe only without threads: so it works only in a process without other
    threads.
    """
    single_threaded = (
        threading.active_count() == 1 and threading.current_thread() is threading.main_thread()
    )
    if sys.platform != "linux" or not single_threaded:
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def before_exec() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(sig))
        if os.getppid() != parent:  # the parent died before prctl
            os.kill(os.getpid(), sig)

    return before_exec
