"""The program in docs/configuration.md gets a token for a GitHub App, as GitHub documents it."""

import json
import re
import subprocess
import sys
import threading
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from processor.tokens.printed_token import PrintedToken, read_token

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"
# The form of the answer: docs.github.com/rest/apps/apps, "Create an installation access token".
ANSWER = {
    "token": "ghs_made_up",
    "expires_at": "2016-07-11T22:14:10Z",
    "permissions": {"metadata": "read"},
}


@pytest.fixture
def github() -> Iterator[HTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.server.asked = (self.path, self.headers["Authorization"])  # type: ignore[attr-defined]
            self.send_response(201)
            self.end_headers()
            self.wfile.write(json.dumps(ANSWER).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_documented_program_prints_what_github_answers(tmp_path: Path, github: HTTPServer):
    (program,) = re.findall(r"```python\n(#!.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "github-token").write_text(program)
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    (tmp_path / "app.pem").write_bytes(pem)
    words = ["Iv23", "42", str(tmp_path / "app.pem"), f"http://127.0.0.1:{github.server_port}"]
    output = subprocess.check_output([sys.executable, tmp_path / "github-token", *words])
    assert read_token(output, 1_468_271_650.0) == PrintedToken("ghs_made_up", 1_468_275_250.0)
    path, authorization = github.asked  # type: ignore[attr-defined]
    assert path == "/app/installations/42/access_tokens"
    head, claims, signature = authorization.removeprefix("Bearer ").split(".")
    signed = f"{head}.{claims}".encode()
    key.public_key().verify(decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
    assert json.loads(decoded(head)) == {"alg": "RS256", "typ": "JWT"}
    told = json.loads(decoded(claims))
    assert told["iss"] == "Iv23"
    assert told["exp"] - told["iat"] == 600  # at most ten minutes, and issued a minute ago


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
