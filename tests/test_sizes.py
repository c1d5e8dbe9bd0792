"""Parsing of sizes."""

import pytest

from processor.sizes import LARGEST_PUSH, parse_push_size, parse_size


@pytest.mark.parametrize(
    ("text", "count"),
    [("512KB", 512_000), ("1MiB", 1_048_576), ("20MB", 20_000_000), ("64KiB", 65_536)],
)
def test_a_size_is_a_number_and_a_unit(text: str, count: int) -> None:
    assert parse_size(text) == parse_push_size(text) == count


@pytest.mark.parametrize("text", ["", "20", "20mb", "20 MB", "1.5MB", "-1MB", "20GB", "٢MB"])
def test_another_size_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(ValueError, match="write it as"):
        parse_size(text)


@pytest.mark.parametrize("text", ["0MB", "1KB", "33MiB", "999999999MB"])
def test_a_push_has_1_kib_to_32_mib(text: str) -> None:
    assert parse_push_size("32MiB") == LARGEST_PUSH
    with pytest.raises(ValueError, match="1KiB to 32MiB"):
        parse_push_size(text)
