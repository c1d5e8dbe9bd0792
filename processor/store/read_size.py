"""How many values to read at once, when nobody knows how large they are until they are read."""

from collections.abc import Iterable

PIECE = 2 * 1024 * 1024  # bytes of an answer that are no burden


class ReadSize:
    """Learns from the values that were read, so that an answer has about as many bytes as wanted.

    Redis counts an answer that is on its way as memory.
    """

    def __init__(self, most: int) -> None:
        """Begin as if values were small."""
        self._most = most
        self._mean = 0.0

    def next(self, wanted: int) -> int:
        """How many to read for about so many bytes."""
        return min(self._most, max(1, int(wanted / max(self._mean, 1.0))))

    def saw(self, sizes: Iterable[int]) -> None:
        """Learn what was read: what is larger than thought counts at once, else by and by."""
        found = list(sizes)
        if found:
            mean = sum(found) / len(found)
            self._mean = mean if mean > self._mean else (self._mean + mean) / 2
