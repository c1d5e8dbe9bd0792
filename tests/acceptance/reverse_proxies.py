"""nginx and Caddy on a loopback port, until the block ends."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import STDOUT, Popen

NGINX, CADDY = shutil.which("nginx"), shutil.which("caddy")

AROUND_SERVERS = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    {servers}
}}
"""
BEFORE_SITES = """
{{
    admin off
    auto_https off
    storage file_system {folder}
}}
{sites}
"""


@contextmanager
def nginx(folder: Path, servers: str) -> Iterator[None]:
    """Run it with these `server` blocks; its files are in the folder."""
    file = folder / "nginx.conf"
    file.write_text(AROUND_SERVERS.format(folder=folder, servers=servers))
    with _running([str(NGINX), "-p", str(folder), "-c", str(file)], folder):
        yield


@contextmanager
def caddy(folder: Path, sites: str) -> Iterator[None]:
    """Run it with these sites, which bring their own certificates."""
    file = folder / "Caddyfile"
    file.write_text(BEFORE_SITES.format(folder=folder, sites=sites))
    command = [str(CADDY), "run", "--adapter", "caddyfile", "--config", str(file)]
    with _running(command, folder):
        yield


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[None]:
    with (folder / "log").open("w") as log:
        process = Popen(
            command, stdout=log, stderr=STDOUT, env=os.environ | {"XDG_CONFIG_HOME": str(folder)}
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)
