"""docs/benchmarks.md: all claims first, then each section with its machine, day and charts."""

from pathlib import Path

from bench import page
from bench.environments import TREE
from bench.report import Claim
from bench.sections import SECTIONS

MACHINE = {"cpu": "a processor", "cores": 2, "python": "3.11.7", "system": "Linux"}


def found(title: str, *claims: Claim, charts: tuple[str, ...] = ()) -> page.Found:
    return page.Found(
        title=title,
        tables=["| a table |"],
        claims=list(claims),
        machine=MACHINE,
        versions="commit abc",
        at=1_795_940_000.0,
        seconds=61.0,
        charts=list(charts),
    )


def test_the_page_begins_with_all_claims() -> None:
    one, other = (
        found("One", Claim("fast", "2 ms", held=True)),
        found("Other", Claim("small", "9", held=False)),
    )
    text = page.document({"one": one, "other": other})
    claims = text.partition("## One")[0]
    assert "| fast  | 2 ms     | yes  |" in claims
    assert "| small | 9        | NO   |" in claims


def test_a_section_says_where_and_when() -> None:
    text = page.section(found("One", charts=("latency.svg",)))
    assert "2026-11-29, 61 s; a processor, 2 cores, Python 3.11.7, Linux; commit abc." in text
    assert "![One](latency.svg)" in text


def test_figures_are_kept_between_runs(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "figures.json"
    assert page.read(file) == {}
    page.write({"one": found("One", Claim("fast", "2 ms", held=True))}, file)
    page.write(page.read(file) | {"two": found("Two")}, file)
    assert page.read(file)["one"].claims == [("fast", "2 ms", True)]
    assert list(page.read(file)) == ["one", "two"]


def test_every_section_is_in_the_readme_and_has_a_limit() -> None:
    readme = (TREE / "bench" / "README.md").read_text()
    assert [name for name in SECTIONS if f"`{name}`" not in readme] == []
    assert all(0 < section.limit <= 900 for section in SECTIONS.values())


def test_the_standard_sections_are_named_as_such() -> None:
    readme = (TREE / "bench" / "README.md").read_text()
    rows = [line for line in readme.splitlines() if "*Standard*" in line]
    standard = [f"| `{name}` |" for name, one in SECTIONS.items() if one.standard]
    assert [row[: len(name)] for row, name in zip(rows, standard, strict=True)] == standard
