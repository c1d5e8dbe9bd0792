"""How many values to read at once, when their size is known only after they were read."""

from collections.abc import Iterable

PIECE = 2 * 1024 * 1024  # bytes of an answer that are not a burden


class ReadSize:
    """Learns from the values that were read how many of them give an answer of the wanted size.

    Redis counts an answer that it is sending as memory.
    """

    def __init__(self, most: int) -> None:
        """Start as if values were small; never more than `most` at once."""
        self._most = most
        self._mean = 0.0

    def next(self, wanted: int) -> int:
        """How many values to read for about `wanted` bytes."""
        return min(self._most, max(1, int(wanted / max(self._mean, 1.0))))

    def learn(self, sizes: Iterable[int]) -> None:
        """Note sizes that were read: larger ones than expected count fully, smaller ones half."""
        found = list(sizes)
        if found:
            mean = sum(found) / len(found)
            self._mean = mean if mean > self._mean else (self._mean + mean) / 2
