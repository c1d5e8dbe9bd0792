"""What `pip install .` installs is all of Ringback: the wheel is built, and used without the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from processor.config.profiles import ProfileRegistry

ROOT = Path(__file__).parents[1]
FOLDERS = ("processor", "workers")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder]
    built = subprocess.run(
        [*pip, "--retries", "0", ROOT], capture_output=True, check=False, text=True, timeout=120
    )
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip("the build backend cannot be had: no package index answers")
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.mark.timeout(180)
def test_the_wheel_has_every_file(wheel: Path):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(FOLDERS)}
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")]
    ours = {str(p.relative_to(ROOT)) for p in files if "__pycache__" not in p.parts}
    assert names == ours


@pytest.mark.timeout(180)
def test_the_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    script = (
        "import sys, processor; from processor.cli import main; "
        "print(processor.__file__, file=sys.stderr); main(sys.argv[1:])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, "providers", "--json"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
    )
    assert ended.stderr.startswith(str(tmp_path))
    assert len(json.loads(ended.stdout)["items"]) == len(ProfileRegistry())
