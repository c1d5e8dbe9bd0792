"""Ids of entries in Redis' streams, used as positions: milliseconds of the write, and a number."""

BEGIN = "0-0"
LAST = (1 << 63) - 1  # the highest number in one millisecond


def sort_key(position: bytes | str) -> tuple[int, int]:
    """A position as numbers that can be compared."""
    text = position if isinstance(position, str) else position.decode()
    ms, _, n = text.partition("-")
    return int(ms), int(n)


def position_at(seconds: float) -> str:
    """The position after everything that was written before this time."""
    return f"{max(int(seconds * 1000) - 1, 0)}-{LAST}"


def written_at(position: str) -> float:
    """When the entry at a position was written, in seconds."""
    return sort_key(position)[0] / 1000


def canonical(position: str) -> str:
    """A position as Redis writes it; ValueError for one that Redis would refuse."""
    ms, n = sort_key(position)
    if not (0 <= ms <= LAST and 0 <= n <= LAST):
        raise ValueError(position)
    return f"{ms}-{n}"
