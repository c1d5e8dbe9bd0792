"""The limit of open files: raised at the start as far as the system allows.

A shell's default of 1,024 is for programs that use `select`; each connection is a file.
"""

import resource

FALLBACK = 10_240  # where the hard limit is "none" and the kernel has one of its own (macOS)
UNLIMITED = 2**31


def raise_open_files() -> int:
    """Raise the soft limit to the hard limit; the new soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, FALLBACK):
        if wanted in (soft, hard) or wanted > soft:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            except (OSError, ValueError):
                continue
            return UNLIMITED if wanted == resource.RLIM_INFINITY else wanted
    return soft
