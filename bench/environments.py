"""Python environments that the bench makes on first use and keeps in one folder between runs.

    arq            arq's own, because arq needs redis < 6
    commit-SHA     another commit of Ringback, installed with the versions that it pinned
    python-X.Y.Z   what this tree needs, on another interpreter

Each has a file `installed.txt` that says what it was made from; an environment that was made from
something else is made again.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

TREE = Path(__file__).parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ringback-bench"
ARQ_REQUIREMENTS = Path(__file__).with_name("arq-requirements.txt")


class Installation(NamedTuple):
    """A Ringback that can be started: an interpreter, and what its PYTHONPATH is set to."""

    python: str
    path: str = ""


THIS_TREE = Installation(sys.executable, str(TREE))


def arq() -> str:
    """Return the interpreter that has arq."""
    return environment(
        "arq", sys.executable, ARQ_REQUIREMENTS.read_text(), "-r", str(ARQ_REQUIREMENTS)
    )


def commit(name: str) -> Installation:
    """Return another commit of Ringback, with a Redis and all versions as it pinned them."""
    sha = run("git", "-C", str(TREE), "rev-parse", "--short=12", f"{name}^{{commit}}").strip()
    made_from = f"{sha} on {sys.version}"
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "tree.tar"
        run("git", "-C", str(TREE), "archive", "--output", str(archive), sha)
        run("tar", "-x", "-C", folder, "-f", str(archive))
        return Installation(
            environment(f"commit-{sha}", sys.executable, made_from, *requirements(Path(folder)))
        )


def other_python(interpreter: str) -> Installation:
    """Return this tree on another interpreter."""
    version = run(interpreter, "-c", "import sys; print(sys.version)").strip()
    made_from = version + "".join(
        (TREE / file).read_text() for file in ("pyproject.toml", "constraints.txt")
    )
    name = f"python-{version.split()[0]}"
    needed = (*requirements(TREE), "aiohttp")  # which the relay sends with
    return Installation(environment(name, interpreter, made_from, *needed), str(TREE))


def requirements(tree: Path) -> tuple[str, ...]:
    """Return pip's arguments that install a tree with its embedded Redis."""
    return "--constraint", str(tree / "constraints.txt"), f"{tree}[embedded]"


def environment(name: str, interpreter: str, made_from: str, *requirements: str) -> str:
    """Return the interpreter of an environment; make it unless it was made from the same."""
    folder = CACHE / name
    python, done = folder / "bin" / "python", folder / "installed.txt"
    if not done.exists() or done.read_text() != made_from:
        sys.stderr.write(f"making {folder}\n")
        run(interpreter, "-m", "venv", "--clear", str(folder))
        run(str(python), "-m", "pip", "install", "--disable-pip-version-check", *requirements)
        done.write_text(made_from)
    return str(python)


def run(*argv: str) -> str:
    """Run a command and return its output; show its errors only if it failed."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=env)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} failed:\n{done.stderr[-2000:]}")
    return done.stdout
