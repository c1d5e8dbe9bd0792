"""What is seen of the demo: the cast, each job's timeline, and the verdict."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from processor.cli import output
from processor.cli.demo.payloads import SCENES, Scene


def cast() -> None:
    """Say which jobs are played, and what of them is documented."""
    output.line("Simulated jobs, and where their payloads come from:")
    rows = [
        (f"{s.source}/{s.id}", "polled" if s.asked_at else "pushed", s.provenance) for s in SCENES
    ]
    output.table(("job", "heard by", "payloads"), rows)
    output.line("")


def timeline(scene: Scene, entries: Sequence[Mapping[str, Any]]) -> None:
    """Show a job's history: what was told, what came of it, and what was ignored and why."""
    output.line("")
    output.line(f"{scene.source}/{scene.id}")
    for entry in entries:
        came = f"ignored: {entry['ignored']}" if entry.get("ignored") else _move(entry)
        often = f" x{entry['count']}" if entry.get("count", 1) > 1 else ""
        output.line(
            f"  {_clock(entry['at'])}  {entry['origin']:<8}  {entry['status']:<22}  {came}{often}"
        )


def verdict(complaints: Sequence[str], callbacks: int, seconds: float) -> None:
    """Say whether everything came."""
    output.line("")
    for complaint in complaints:
        output.line(f"WRONG  {complaint}")
    if not complaints:
        output.line("Forged pushes were refused; repeated ones were taken, and changed nothing.")
    word = "not everything is right" if complaints else "all came, each once, all verified"
    output.line(f"{callbacks} callbacks in {seconds:.1f} s: {word}")


def _move(entry: Mapping[str, Any]) -> str:
    state, was = entry["state"], entry.get("was")
    return str(state) if was in (None, state) else f"{was} → {state}"


def _clock(at: float | str) -> str:
    time = datetime.fromisoformat(at) if isinstance(at, str) else datetime.fromtimestamp(at, UTC)
    return f"{time:%H:%M:%S}.{time.microsecond // 100_000}"
