"""Places in Redis' streams: the milliseconds at which an entry was written, and a number."""

BEGIN = "0-0"
LAST = (1 << 63) - 1  # of all that could be written in one millisecond


def order_of(place: bytes | str) -> tuple[int, int]:
    """A place as numbers that can be compared."""
    ms, _, n = (place if isinstance(place, str) else place.decode()).partition("-")
    return int(ms), int(n)


def place_at(seconds: float) -> str:
    """The place behind all that was written before this moment."""
    return f"{max(int(seconds * 1000) - 1, 0)}-{LAST}"


def told_at(place: str) -> float:
    """When the entry at a place was written, in seconds."""
    return order_of(place)[0] / 1000


def checked(place: str) -> str:
    """A place as Redis writes it; ValueError for what Redis would not take."""
    ms, n = order_of(place)
    if not (0 <= ms <= LAST and 0 <= n <= LAST):
        raise ValueError(place)
    return f"{ms}-{n}"
