"""The docstring of a package is the map of its folder: each module is listed once, and nothing else."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(
    init.parent.relative_to(ROOT)
    for folder in ("processor", "workers", "bench")
    for init in (ROOT / folder).rglob("__init__.py")
)


def modules(folder: Path) -> set[str]:
    files = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    return files | {inner.parent.name for inner in folder.glob("*/__init__.py")}


@pytest.mark.parametrize("package", PACKAGES, ids=str)
def test_a_packages_map_lists_its_modules(package: Path):
    folder = ROOT / package
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    assert sorted(re.findall(r"^(\w+)  +\S", text, re.MULTILINE)) == sorted(modules(folder))
