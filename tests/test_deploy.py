"""What is deployed starts exactly the commands that exist, with settings that exist."""

import configparser
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import redis
import typer
import yaml

from processor.cli.app import build
from processor.cli.embedded_redis import find_server
from processor.cli.listen_address import free_port
from processor.config.schema import Environment

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
BINARIES = Path(sys.executable).parent
PROCESSES = {"web", "worker", "clock"}
DRAINS_WITHIN = 25  # seconds, promised
VARIABLES = {*Environment.__struct_fields__, "RINGBACK_CONFIG"}

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


def check_command(words: list[str]) -> None:
    """See that the command line takes these words."""
    command = typer.main.get_command(build())
    command.main([*words, "--help"], standalone_mode=False)
    assert words[0] in PROCESSES


# --- Procfile -----------------------------------------------------------------------------


def test_the_procfile_names_the_three_processes():
    lines = (ROOT / "Procfile").read_text().splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        f"ringback {line.partition(':')[0]}" for line in lines
    ]
    assert {line.partition(":")[0] for line in lines} == PROCESSES
    for line in lines:
        check_command(line.split()[2:])


# --- Dockerfile ---------------------------------------------------------------------------


def test_the_image_copies_what_there_is_and_starts_a_process():
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        assert [source for source in sources.split() if not (ROOT / source).exists()] == []
    assert 'ENTRYPOINT ["ringback"]' in DOCKERFILE
    (command,) = re.findall(r'^CMD \["(\w+)"\]$', DOCKERFILE, re.MULTILINE)
    check_command([command])


def test_the_image_holds_all_that_the_package_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {*project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}
    needed |= {"pyproject.toml", "constraints.txt", project["project"]["readme"], "LICENSE"}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    assert {source for sources in copied for source in sources.split()} == needed


def test_the_image_has_a_python_that_is_new_enough():
    least = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    found = re.findall(r"^FROM python:3\.(\d+)-slim", DOCKERFILE, re.MULTILINE)
    assert least
    assert found == [found[0]] * 2
    assert int(found[0]) >= int(least[1])


def test_the_image_sets_only_variables_that_exist():
    assert set(re.findall(r"\b(RINGBACK_\w+)=", DOCKERFILE)) <= VARIABLES


# --- compose ------------------------------------------------------------------------------


def test_compose_runs_the_three_processes_and_a_redis():
    assert set(COMPOSE["services"]) == {*PROCESSES, "redis"}
    for name in PROCESSES:
        service = COMPOSE["services"][name]
        assert service["command"][0] == name
        check_command(service["command"])
        assert set(service["environment"]) <= VARIABLES
        assert service["environment"]["REDIS_URL"] == "redis://redis:6379/0"
        assert int(service["stop_grace_period"].removesuffix("s")) > DRAINS_WITHIN


def test_compose_builds_and_mounts_what_there_is():
    build_from = COMPOSE["services"]["web"]["build"]
    assert (DEPLOY / build_from["context"] / build_from["dockerfile"]).exists()
    (mounted,) = COMPOSE["services"]["web"]["volumes"]
    workdir = re.findall(r"^WORKDIR (\S+)$", DOCKERFILE, re.MULTILINE)[-1]
    assert mounted == f"./ringback:{workdir}:ro"
    assert (DEPLOY / COMPOSE["services"]["redis"]["volumes"][0].partition(":")[0]).exists()


def test_compose_opens_nothing_to_the_world():
    ports = [port for s in COMPOSE["services"].values() for port in s.get("ports", [])]
    assert ports == ["127.0.0.1:8080:8080"]


# --- Redis --------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [[], COMPOSE["services"]["redis"]["command"][2:]])
def test_a_real_redis_takes_the_configuration(extra: list[str], tmp_path: Path):
    where, log = tmp_path / "redis.sock", tmp_path / "log"
    ours = ["--port", "0", "--unixsocket", str(where), "--dir", str(tmp_path)]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [str(find_server()), str(DEPLOY / "redis.conf"), *extra, *ours], stdout=out, stderr=out
        )
    try:
        with redis.Redis(unix_socket_path=str(where)) as client:
            wait_for(client, server, log)
            for name, value in {
                "appendonly": "yes",
                "appendfsync": "everysec",
                "maxmemory-policy": "noeviction",
                "save": "",
            }.items():
                assert client.config_get(name) == {name: value}
            assert int(client.config_get("maxmemory")["maxmemory"]) > 0
            client.set("written", "1")
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0
    finally:
        server.kill()
        server.wait()
    assert (tmp_path / "appendonlydir").exists()


def wait_for(client: "redis.Redis", server: "subprocess.Popen[bytes]", log: Path) -> None:
    ends = time.monotonic() + 10
    while True:
        try:
            client.ping()
        except redis.exceptions.ConnectionError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < ends, log.read_text()
            time.sleep(0.02)
        else:
            return


# --- systemd ------------------------------------------------------------------------------


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names keep their case
    parser.read_string(path.read_text())
    return parser


def test_there_is_a_unit_for_each_process():
    assert [path.name for path in UNITS] == [
        "ringback-clock.service",
        "ringback-web.service",
        "ringback-worker@.service",
    ]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_starts_its_process_for_ever_and_lets_it_drain(path: Path):
    service = unit(path)["Service"]
    binary, *words = service["ExecStart"].split()
    assert binary == "/opt/ringback/bin/ringback"
    assert words == [path.stem.removeprefix("ringback-").removesuffix("@")]
    check_command(words)
    assert service["Type"] == "simple"
    assert service["Restart"] == "always"
    assert service["KillSignal"] == "SIGTERM"
    assert int(service["TimeoutStopSec"]) > DRAINS_WITHIN
    assert service["Environment"].partition("=")[0] in VARIABLES


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_units_differ_only_in_name_and_command(path: Path):
    own = {("Unit", "Description"), ("Service", "ExecStart")}
    first, this = (
        {(s, k): v for s in u.sections() for k, v in u[s].items() if (s, k) not in own}
        for u in (unit(UNITS[0]), unit(path))
    )
    assert this == first


@pytest.mark.acceptance
def test_the_page_examines_what_systemd_has_started(tmp_path: Path, shell: Any, terminal: Any):
    """`ringback up` stands for the units; only paths, the port and the URL of Redis are replaced."""
    page = (DEPLOY / "README.md").read_text()
    (doctor,) = re.findall(r"^```sh\n(set -a.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (file,) = re.findall(r"^```text\n(REDIS_URL=.*?)^```$", page, re.MULTILINE | re.DOTALL)
    shown = dict(line.split("=", 1) for line in file.splitlines())
    assert set(shown) <= VARIABLES
    table = '[sources.encoder]\nprovider = "standard"\nwebhook_secret = "env:ENCODER_SECRET"\n'
    (tmp_path / "ringback.toml").write_text(table)
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("RINGBACK_", "REDIS_"))}
    clean |= {"PATH": f"{BINARIES}:{clean['PATH']}"}
    del shown["REDIS_URL"]
    shown |= {"ENCODER_SECRET": "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}
    port = free_port("127.0.0.1", 0)
    with tempfile.TemporaryDirectory() as data:  # a short path, as a socket needs
        up = f"ringback up --port {port} --data {data}"
        with terminal(up, clean | shown, "Ringback is ready"):
            shown |= {"REDIS_URL": f"unix://{data}/run/redis.sock"}
            lines = [f"{name}={value}\n" for name, value in shown.items()]
            (tmp_path / "ringback.env").write_text("".join(lines))
            doctor = doctor.replace("/opt/ringback/bin/", "").replace("/etc/ringback/", "./")
            printed = shell(doctor, clean | {"RINGBACK_URL": f"http://127.0.0.1:{port}"})
    assert "ringback.toml; sources: 1" in printed


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_finds_nothing_wrong_with_a_unit(path: Path, tmp_path: Path):
    copy = tmp_path / path.name
    copy.write_text(path.read_text().replace("/opt/ringback/bin/ringback", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],  # noqa: S607 -- whichever there is
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
