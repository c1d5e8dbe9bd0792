"""The supervisor restarts processes that end, and stops them in order."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from processor.cli.child import (
    Child,
    Command,
    StopOrder,
    describe_exit,
    pause,
)
from processor.cli.supervisor import STOP_TIMEOUTS, Signals, Supervisor

from .waiting import until

ROOT = Path(__file__).parents[2]
IGNORES_TERM = (
    "import signal,time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
)


def python(name: str, code: str, stage: StopOrder = StopOrder.WORK) -> Command:
    return Command(name, (sys.executable, "-c", code), os.environ, stage)


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def supervisor(log: list[str]):
    supervisor = Supervisor(log.append)
    yield supervisor
    for child in supervisor.children:
        child.kill()


@pytest.fixture
def signals():
    with Signals() as signals:
        yield signals


def test_pauses_grow_from_a_fifth_of_a_second_to_five():
    assert [pause(deaths) for deaths in (1, 2, 3, 4, 5, 6, 1000)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]


def test_a_killed_child_is_restarted_and_logged(supervisor: Supervisor, log: list[str]):
    supervisor.add([python("worker-1", "import time; time.sleep(60)")])
    [child] = supervisor.children
    first = child.pid
    os.kill(first, signal.SIGKILL)
    until(lambda: child.running and child.pid != first, supervisor.step)
    assert log == ["worker-1 ended (SIGKILL); restarts in 0.2 s"]


def test_pauses_grow_if_a_child_keeps_ending(supervisor: Supervisor, log: list[str]):
    supervisor.add([python("web", "raise SystemExit(7)")])
    until(lambda: len(log) == 3, supervisor.step)
    assert [line[-5:] for line in log] == ["0.2 s", "0.4 s", "0.8 s"]
    assert log[0].startswith("web ended (exit 7)")


def test_pauses_start_again_after_a_stable_run(log: list[str]):
    child = Child(python("web", "raise SystemExit(1)"), log.append)
    for life in (0.0, 0.0, 60.0):
        now = 1000.0 if child.due is None else child.due
        child.step(now)
        until(lambda: not child.running)
        child.step(now + life)
    child.kill()
    assert [line[-5:] for line in log] == ["0.2 s", "0.4 s", "0.2 s"]


def test_a_child_that_refuses_its_configuration_is_not_restarted(
    supervisor: Supervisor, log: list[str]
):
    supervisor.add([python("web", "raise SystemExit(2)")])
    until(lambda: supervisor.refused, supervisor.step)
    assert supervisor.seconds_to_restart() is None
    assert log == ["web refuses its configuration: see its message above"]


def test_a_new_process_that_refuses_what_was_accepted_before_is_started_again(log: list[str]):
    """Somebody may be editing the file just now."""
    child = Child(python("web", "raise SystemExit(2)"), log.append)
    child.step(1000.0)
    child.begin_reload()
    child.replace(1000.0)
    until(lambda: not child.running)
    child.step(1000.0)
    assert not child.refused
    assert log == ["web refuses its configuration: see its message above; restarts in 0.2 s"]
    child.step(child.due)
    until(lambda: not child.running)
    child.step(2000.0)  # it ran for a while: its store is not for it
    assert child.refused


def test_a_failed_start_is_retried(supervisor: Supervisor, log: list[str]):
    supervisor.add([Command("redis", ("/nowhere/redis-server",), {})])
    until(lambda: len(log) == 2, supervisor.step)
    assert log[0] == "redis does not start (No such file or directory); restarts in 0.2 s"


def test_no_restart_is_due_while_all_children_run(supervisor: Supervisor):
    supervisor.add([python("web", "import time; time.sleep(60)")])
    assert supervisor.seconds_to_restart() is None


def test_redis_stops_last_and_a_slow_receiver_takes_no_time_from_the_others(
    supervisor: Supervisor, signals: Signals, tmp_path: Path
):
    story = tmp_path / "story"
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n time.sleep({takes}); open({story!r}, 'a').write({name!r} + ' '); sys.exit(0)\n"
        "signal.signal(15, end)\n"
        "open({story!r} + {name!r}, 'w').close()\n"
        "time.sleep(60)"
    )
    stages = {"redis": StopOrder.STORE, "worker": StopOrder.WORK, "web": StopOrder.WORK}
    takes = {"redis": 0, "worker": 0, "web": 1}  # seconds until each has ended
    supervisor.add(
        [
            python(name, code.format(story=str(story), name=name, takes=takes[name]), stage)
            for name, stage in stages.items()
        ]
    )
    until(lambda: all(Path(f"{story}{name}").exists() for name in stages))
    supervisor.stop(signals)
    assert story.read_text() == "worker web redis "
    assert not any(child.running for child in supervisor.children)


def test_a_child_that_does_not_stop_in_time_is_killed(
    supervisor: Supervisor, signals: Signals, log: list[str], capfd
):
    supervisor.add([python("worker", IGNORES_TERM)])
    until(lambda: capfd.readouterr().err)
    supervisor.stop(signals, dict.fromkeys(StopOrder, 0.3))
    assert log == ["worker did not stop in time: killed"]
    assert not supervisor.children[0].running


def test_a_second_signal_kills_at_once(supervisor: Supervisor, signals: Signals, capfd):
    supervisor.add([python("worker", IGNORES_TERM)])
    until(lambda: capfd.readouterr().err)
    waits = signals.wait

    def interrupted(seconds: float | None) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        waits(seconds)

    signals.wait = interrupted
    begun = time.monotonic()
    supervisor.stop(signals)
    assert time.monotonic() - begun < STOP_TIMEOUTS[StopOrder.WORK] / 2


def test_children_are_replaced_one_after_the_other(supervisor: Supervisor, tmp_path: Path):
    story = tmp_path / "story"
    code = (
        "import os, signal, sys, time\n"
        "from processor.service.runtime.replaced_process import end_replaced_process\n"
        "def note(word):\n"
        f"    open({str(story)!r}, 'a').write(f'{{word}} {{sys.argv[1]}}\\n')\n"
        "def end(*_): note('ended'); os._exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "note('began'); end_replaced_process(); time.sleep(60)\n"
    )
    argv = (sys.executable, "-c", code)
    stages = {"web": StopOrder.WORK, "worker": StopOrder.WORK, "store": StopOrder.STORE}
    supervisor.add([Command(n, (*argv, n), os.environ, s) for n, s in stages.items()])
    lines = lambda: story.read_text().splitlines() if story.exists() else []  # noqa: E731
    until(lambda: len(lines()) == 3)
    supervisor.replace()
    until(lambda: len(lines()) == 7, supervisor.step)
    begun = [line for line in lines()[3:] if "web" in line], [x for x in lines() if "store" in x]
    assert sorted(begun[0]) == ["began web", "ended web"]
    assert begun[1] == ["began store"]
    assert "worker" not in " ".join(lines()[3:4])
    assert all(child.running for child in supervisor.children)


def test_nothing_is_replaced_by_processes_that_refuse_their_configuration(
    supervisor: Supervisor, log: list[str], tmp_path: Path
):
    """Even in the first seconds, and after `up` itself has found it good: it may be edited since."""
    broken = tmp_path / "broken"
    code = (
        "import os, sys, time\n"
        "from processor.service.runtime.replaced_process import end_replaced_process\n"
        f"if os.path.exists({str(broken)!r}): sys.exit(2)\n"
        f"open(os.path.join({str(tmp_path)!r}, str(os.getpid())), 'w').close()\n"
        "end_replaced_process(); time.sleep(60)\n"
    )
    supervisor.add([python("web", code), python("worker", code)])
    pids = lambda: {child.pid for child in supervisor.children}  # noqa: E731
    until(lambda: all((tmp_path / str(pid)).exists() for pid in pids()))
    before = pids()
    broken.touch()
    supervisor.replace()
    until(lambda: log, supervisor.step)
    [line] = log
    assert line.startswith("web refuses its configuration: see its message above; the process be")
    supervisor.step()
    assert pids() == before
    assert all(child.running for child in supervisor.children)
    assert not supervisor.refused
    broken.unlink()
    supervisor.replace()
    until(
        lambda: not pids() & before and not any(c.replaced for c in supervisor.children),
        supervisor.step,
    )
    broken.touch()
    os.kill(supervisor.children[1].pid, signal.SIGKILL)
    until(lambda: len(log) == 3, supervisor.step)
    assert "worker refuses" in log[2]
    assert not supervisor.refused


def test_everything_stops_within_25_seconds():
    assert max(STOP_TIMEOUTS.values()) < 25
    assert list(STOP_TIMEOUTS) == sorted(STOP_TIMEOUTS)


def test_the_end_of_a_child_wakes_the_supervisor(supervisor: Supervisor, signals: Signals):
    supervisor.add([python("web", "raise SystemExit(1)")])
    begun = time.monotonic()
    until(lambda: not supervisor.children[0].running, lambda: signals.wait(15))
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(("code", "words"), [(3, "exit 3"), (-9, "SIGKILL"), (-250, "signal 250")])
def test_exits_and_signals_are_named(code: int, words: str):
    assert describe_exit(code) == words


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can bind a child to its parent")
def test_children_end_with_a_killed_parent(tmp_path: Path):
    script = (
        "import os, sys, time\n"
        "from processor.cli.child import Command\n"
        "from processor.cli.supervisor import Supervisor\n"
        "supervisor = Supervisor(print)\n"
        "supervisor.add([Command('c', (sys.executable, '-c', 'import time; time.sleep(60)'), os.environ)])\n"
        "print(supervisor.children[0].pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environ, stdout=subprocess.PIPE
    ) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    until(lambda: not alive(child))


def alive(pid: int) -> bool:
    """Whether a process runs and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
