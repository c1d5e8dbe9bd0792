"""Other people's servers: Node's, Go's, nginx, uvicorn; each is skipped where it is not installed.

All answer alike: `/ok` 200 with a length, `/chunks` 200 in chunks with a trailer where they can,
`/none` 204, `/gone` 410, `/close` with `Connection: close`, `/early` 413 before they have read.
"""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from processor.egress import Egress, NetworkScope, Policy

pytestmark = pytest.mark.acceptance

SOAK = os.environ.get("RINGBACK_TEST_PROFILE") == "soak"

NODE = """
const server = require('http').createServer((request, response) => {
  const body = [];
  request.on('data', (chunk) => body.push(chunk));
  if (request.url === '/early') { response.writeHead(413, {connection: 'close'}); return response.end(); }
  request.on('end', () => {
    switch (request.url) {
      case '/none': response.writeHead(204); return response.end();
      case '/gone': response.writeHead(410); return response.end('gone');
      case '/close': response.writeHead(200, {connection: 'close'}); return response.end('ok');
      case '/chunks':
        response.writeEarlyHints({link: '</a>; rel=preload'});
        response.writeHead(200, {trailer: 'x-sum'});
        response.write('o'); response.write('k');
        response.addTrailers({'x-sum': '1'});
        return response.end();
      default: response.setHeader('content-length', 2); response.end('ok');
    }
  });
});
server.keepAliveTimeout = 60000;
server.listen(+process.argv[2], '127.0.0.1');
"""

GO = """
package main

import (
    "io"
    "net/http"
    "os"
)

func main() {
    http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
        if r.URL.Path == "/early" {
            w.WriteHeader(413)
            return
        }
        io.Copy(io.Discard, r.Body)
        switch r.URL.Path {
        case "/none":
            w.WriteHeader(204)
        case "/gone":
            http.Error(w, "gone", 410)
        case "/close":
            w.Header().Set("Connection", "close")
            io.WriteString(w, "ok")
        case "/chunks":
            w.Header().Set("Link", "</a>; rel=preload")
            w.WriteHeader(103)
            w.Header().Set("Trailer", "X-Sum")
            w.WriteHeader(200)
            io.WriteString(w, "o")
            w.(http.Flusher).Flush()
            io.WriteString(w, "k")
            w.Header().Set("X-Sum", "1")
        default:
            io.WriteString(w, "ok")
        }
    })
    http.ListenAndServe("127.0.0.1:"+os.Args[1], nil)
}
"""

NGINX = """
daemon off; master_process off; pid nginx.pid; error_log stderr;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;
  uwsgi_temp_path u; scgi_temp_path s; keepalive_timeout 60; client_max_body_size 1m;
  server {
    listen 127.0.0.1:PORT; root .; default_type text/plain;
    location = /ok { return 200 "ok"; }
    location = /none { return 204; }
    location = /gone { return 410; }
    location = /close { keepalive_timeout 0; return 200 "ok"; }
    location = /early { return 200; client_max_body_size 1k; proxy_pass http://127.0.0.1:1; }
    location = /chunks {
      ssi on; ssi_types text/plain; try_files /chunks.txt =404;
      error_page 405 =200 /chunks.txt;
    }
    location = /chunks.txt { ssi on; ssi_types text/plain; error_page 405 =200 $uri; }
  }
}
"""

ASGI = """
async def app(scope, receive, send):
    if scope['type'] != 'http':
        return
    path = scope['path']
    while path != '/early' and (await receive()).get('more_body'):
        pass
    status = {'/none': 204, '/gone': 410, '/early': 413}.get(path, 200)
    headers = [(b'connection', b'close')] if path in ('/close', '/early') else []
    if path == '/ok':
        headers.append((b'content-length', b'2'))
    await send({'type': 'http.response.start', 'status': status, 'headers': headers})
    pieces = (b'o', b'k') if status == 200 else (b'',)
    for piece in pieces:
        await send({'type': 'http.response.body', 'body': piece, 'more_body': True})
    await send({'type': 'http.response.body', 'body': b''})
"""


def node(folder: Path, port: int) -> Sequence[str]:
    (folder / "server.js").write_text(NODE)
    return "node", "server.js", str(port)


def go(folder: Path, port: int) -> Sequence[str]:
    (folder / "server.go").write_text(GO)
    return "go", "run", "server.go", str(port)


def nginx(folder: Path, port: int) -> Sequence[str]:
    (folder / "nginx.conf").write_text(NGINX.replace("PORT", str(port)))
    (folder / "chunks.txt").write_text('o<!--#set var="x" value="1" -->k')
    return "nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"


def uvicorn(http: str) -> Callable[[Path, int], Sequence[str]]:
    def start(folder: Path, port: int) -> Sequence[str]:
        (folder / "served.py").write_text(ASGI)
        more = ("--log-level", "critical", "--timeout-keep-alive", "60")
        return (
            sys.executable, "-m", "uvicorn", "served:app", "--port", str(port), "--http", http, *more,
        )  # fmt: skip

    return start


SERVERS = {
    "node": node,
    **({"go": go} if SOAK else {}),  # compiles the half of Go's library
    "nginx": nginx,
    "uvicorn-httptools": uvicorn("httptools"),
    "uvicorn-h11": uvicorn("h11"),
}


@asynccontextmanager
async def running(start: Callable[[Path, int], Sequence[str]], folder: Path) -> AsyncIterator[str]:
    """A server, once it accepts connections."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program, *arguments = start(folder, port)
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    process = await asyncio.create_subprocess_exec(
        program, *arguments, cwd=folder, start_new_session=True
    )
    try:
        async with asyncio.timeout(90):
            while not await accepts(port):
                assert process.returncode is None
                await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        await process.wait()


async def accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.transport.abort()
    return True


@pytest.mark.parametrize("server", SERVERS)
async def test_a_real_server_is_understood(server, tmp_path):
    async with running(SERVERS[server], tmp_path) as url, Egress(Policy()) as egress:
        pool = egress._pools[NetworkScope.CONFIGURED]
        connections = set()

        async def post(path, body=b"{}", *, wanted=False):
            answer = await egress.request(
                "POST",
                url + path,
                headers={"content-type": "application/json"},
                body=body,
                scope=NetworkScope.CONFIGURED,
                body_wanted=wanted,
            )
            connections.update(pool._open)
            return answer.status, answer.body

        for wanted in (False, True):
            body = b"ok" if wanted else b""
            for _ in range(3):
                assert await post("/ok", wanted=wanted) == (200, body)
                assert await post("/chunks", wanted=wanted) == (200, body)
                assert await post("/none", wanted=wanted) == (204, b"")
                assert (await post("/gone", wanted=wanted))[0] == 410
                assert await post("/ok", b"x" * 500_000, wanted=wanted) == (200, body)
        assert len(connections) == 1
        assert await post("/close", wanted=True) == (200, b"ok")
        assert not pool._open
        assert (await post("/early", b"x" * 100_000))[0] == 413
        assert await post("/ok", wanted=True) == (200, b"ok")


@pytest.mark.parametrize("server", SERVERS)
async def test_many_requests_at_once_all_get_their_answer(server, tmp_path):
    paths = {"/ok": 200, "/chunks": 200, "/none": 204, "/gone": 410, "/close": 200}
    async with running(SERVERS[server], tmp_path) as url, Egress(Policy(), limit=20) as egress:

        async def post(path):
            answer = await egress.request(
                "POST",
                url + path,
                headers={},
                body=b"x" * 2000,
                scope=NetworkScope.CONFIGURED,
                body_wanted=False,
            )
            return path, answer.status

        found = await asyncio.gather(*(post(path) for path in list(paths) * 60))
        assert set(found) == set(paths.items())
