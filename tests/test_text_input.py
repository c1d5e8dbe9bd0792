"""Text from outside: byte order marks, other encodings, other locales."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import processor
import workers
from processor import config, provider
from processor.errors import ConfigError
from processor.signing.schemes import ed25519
from processor.text_input import decode_system_text, decode_text

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSBzZXJ2aWNlLCBtYWRlIHVwIHRvbw=="
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]
BE = {"utf-16-be": b"\xfe\xff", "utf-32-be": b"\x00\x00\xfe\xff"}
FILES = [p for package in (processor, workers) for p in Path(package.__file__).parent.rglob("*.py")]
POSIX = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_text_is_decoded_by_its_byte_order_mark(encoding: str) -> None:
    assert decode_text("é\n".encode(encoding)) == "é\n"


@pytest.mark.parametrize(("encoding", "mark"), BE.items())
def test_big_endian_text_is_decoded_too(encoding: str, mark: bytes) -> None:
    assert decode_text(mark + "é".encode(encoding)) == "é"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_configuration_profile_and_secrets_may_be_written_by_any_editor(
    tmp_path: Path, encoding: str
) -> None:
    profile = '[push]\nid = "/id"\nstatus = "/é"\n[push.verify]\nscheme = "token"\n'
    profile += 'header = "X-Token"\n[states]\ndone = "succeeded"\n'
    (tmp_path / "providers").mkdir()
    (tmp_path / "providers" / "mine.toml").write_bytes(profile.encode(encoding))
    (tmp_path / "secret").write_bytes(f"{SECRET}\r\n".encode(encoding))
    (tmp_path / "token").write_bytes("schluessel\n".encode(encoding))
    text = 'providers = "providers"\n[sources.a]\nprovider = "standard"\n'
    text += 'webhook_secret = "file:secret"\n[sources.b]\nprovider = "mine"\r\n'
    text += 'webhook_secret = "file:token"\n'
    file = tmp_path / "ringback.toml"
    file.write_bytes(text.encode(encoding))
    settings = config.load(file, {})
    assert settings.sources["a"].secrets == (SECRET,)
    assert settings.sources["b"].secrets == ("schluessel",)


@pytest.mark.parametrize("raw", [b"\xff\xff", "providers = 'é'".encode("latin-1")])
def test_a_configuration_in_another_encoding_is_an_error(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "ringback.toml"
    file.write_bytes(b"# one\n" + raw)
    with pytest.raises(
        ConfigError, match=r"ringback\.toml:2: is not UTF-8; save the file as UTF-8"
    ):
        config.load(file, {})


def test_a_secret_of_the_environment_is_utf8_in_every_locale(tmp_path: Path) -> None:
    as_ascii = "schlüssel".encode().decode("ascii", "surrogateescape")  # as Python then has it
    assert decode_system_text(as_ascii) == "schlüssel"
    assert decode_system_text("schlüssel") == "schlüssel"
    assert decode_system_text("\ufeffa") == "a"
    assert decode_system_text("\udcff") == "\udcff"


def test_published_keys_may_begin_with_a_byte_order_mark() -> None:
    jwks = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}]}
    text = json.dumps(jwks).encode()
    assert ed25519.public_keys_of(b"\xef\xbb\xbf" + text) == ed25519.public_keys_of(text) != ()


def opens_text_blindly(call: ast.Call) -> bool:
    """Whether a call reads or writes text in the encoding of the locale."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    given = {word.arg for word in call.keywords}
    modes = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if "encoding" in given:
        return False
    match name:
        case "read_text":
            return not call.args
        case "write_text" | "NamedTemporaryFile" | "fdopen":
            return len(call.args) < 2 and "wb" not in modes
        case "open":
            mode = "r" if isinstance(call.func, ast.Name) else ""
            mode = next((text for text in modes if set(text) <= set("rwxa+bt")), mode)
            return bool(mode) and "b" not in mode
        case _:
            return bool({"text", "universal_newlines"} & given)


def test_every_file_is_opened_with_its_encoding() -> None:
    """`read_text()` alone takes the locale's: with LC_ALL=C every push was a 500."""
    found = [
        f"{path.name}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and opens_text_blindly(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "blind"),
    [
        ("p.read_text()", True),
        ("p.read_text('utf-8')", False),
        ("p.write_text(t)", True),
        ("p.write_text(t, encoding='utf-8')", False),
        ("open(p)", True),
        ("p.open('w')", True),
        ("p.open('wb')", False),
        ("subprocess.run(a, text=True)", True),
        ("os.open(p, 2)", False),
        ("vault.open(a, b)", False),
    ],
)
def test_the_search_for_such_calls_finds_them(code: str, *, blind: bool) -> None:
    (call,) = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Call)][:1]
    assert opens_text_blindly(call) is blind


def run(tmp_path: Path, *words: str, **environ: str) -> "subprocess.CompletedProcess[bytes]":
    """A command in a terminal that knows ASCII only."""
    return subprocess.run(
        [sys.executable, "-m", "processor.cli", *words],
        cwd=tmp_path,
        env={**os.environ, **POSIX, **environ},
        capture_output=True,
        check=False,
    )


def test_inspect_works_where_the_locale_is_ascii(tmp_path: Path) -> None:
    """Configuration, profile, headers and body are UTF-8 whatever the locale is."""
    (tmp_path / "ringback.toml").write_text(
        '# für é\n[sources.a]\nprovider = "replicate"\ntoken = "x"\n'
        'webhook_secret = "env:KEY"\n[sources.b]\nprovider = "http-202"\n'
        'base_url = "https://x.example"\n',
        encoding="utf-8",
    )
    (tmp_path / "h.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"X": "é"}).encode())
    (tmp_path / "b.json").write_bytes('\ufeff{"id": "é"}'.encode())
    words = ("inspect", "a", "--headers", "h.json", "--body", "b.json")
    for more in ((), ("--json",)):
        ended = run(tmp_path, *words, *more, KEY=SECRET)
        assert ended.returncode == 1, ended.stderr
        assert b"Traceback" not in ended.stderr
        assert b"there is no webhook-id header" in ended.stdout.lower() + ended.stderr


def test_a_terminal_that_cannot_show_a_character_gets_a_replacement(tmp_path: Path) -> None:
    script = (
        "import sys; from processor.cli import output, progress\n"
        "sys.stdout.reconfigure(errors='replace')\n"
        "output.line('é → ü'); output.tree({'é': '→'}); output.document({'é': 1})\n"
        "sys.stdout.isatty = lambda: True\n"
        "with progress.progress_display(silent=False) as show:\n"
        "    show('é', {'state': 'running', 'progress': 0.5})\n"
    )
    (tmp_path / "shown.py").write_text(script, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "shown.py")],
        env={**os.environ, **POSIX},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(b"? ? ?\n")
    ended.stdout.decode("ascii")


def test_profiles_are_read_where_the_locale_is_ascii() -> None:
    """And all that comes with the package: scripts of the store, the skeleton of a profile."""
    script = (
        "from processor.config.profiles import ProfileRegistry; from processor.store import script_loader\n"
        "import processor.cli.providers as p, datetime, importlib.resources as r\n"
        "[profiles[name] for profiles in [ProfileRegistry()] for name in profiles]\n"
        "assert script_loader._lua(r.files('processor.store') / 'scripts')\n"
        "p.skeleton('x', datetime.date(2026, 1, 1))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **POSIX},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()


def test_a_profile_text_may_begin_with_a_mark() -> None:
    text: Any = '\ufeff[push]\nid = "/id"\nstatus = "/s"\n[states]\ndone = "succeeded"\n'
    assert provider.parse("mine", text).name == "mine"


def test_logs_are_not_mixed_with_the_result(tmp_path: Path) -> None:
    """`inspect --json` is read by programs; a key that cannot be fetched is logged."""
    script = (
        "from processor.cli import main\n"
        "from processor.cli.app import output\n"
        "import processor.cli.app as app, structlog, typer\n"
        "def build():\n"
        "    import processor.cli.logs as logs\n"
        "    logs.configure()  # as every command does that imports structlog\n"
        "    made = typer.Typer()\n"
        "    @made.command()\n"
        "    def go():\n"
        "        structlog.get_logger().warning('public_key_unreachable', url='é')\n"
        "        output.document({'verified': False})\n"
        "    return made\n"
        "app.build = build\n"
        "main([])\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert json.loads(ended.stdout) == {"verified": False}
    assert b"public_key_unreachable" in ended.stderr
