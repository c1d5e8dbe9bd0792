"""Format, signature and headers of a subscription in the configuration file."""

from pathlib import Path

import pytest

from processor.config import Settings, load
from processor.errors import ConfigError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def settings(folder: Path, *lines: str, secret: str = SECRET, **environ: str) -> Settings:
    file = folder / "ringback.toml"
    head = ["[subscriptions.one]", 'url = "https://x.example/in"', f'secret = "{secret}"']
    file.write_text("\n".join([*head, *lines]))
    return load(file, environ)


def test_settings_have_their_defaults(tmp_path: Path) -> None:
    one = settings(tmp_path).subscriptions["sub_one"]
    assert (one.format, one.signature, one.headers, one.origin) == ("standard", "v1", {}, None)
    assert (one.ordered, one.auto_disable) == (False, True)


def test_settings_are_read_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n")
    one = settings(
        tmp_path,
        'format = "cloudevents-batch"',
        'signature = "v1a"',
        "ordered = true",
        "auto_disable = false",
        'headers = { X-Key = "env:KEY", x-other = "file:key", X-Plain = "as it is" }',
        secret=PRIVATE,
        KEY="from a variable",
    ).subscriptions["sub_one"]
    assert (one.format, one.signature, one.secrets) == ("cloudevents-batch", "v1a", (PRIVATE,))
    assert (one.ordered, one.auto_disable) == (True, False)
    assert one.headers == {
        "x-key": "from a variable",
        "x-other": "from a file",
        "x-plain": "as it is",
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "concurrency = 0",
            "subscriptions.one.concurrency: 0 is out of range; it goes from 1 to 256",
        ),
        (
            'rate = "often"',
            "subscriptions.one.rate: `often` is not a rate; write deliveries per time",
        ),
        ('ordered = "yes"', "subscriptions.one.ordered: `ordered` holds a text; write true"),
        ('format = "soap"', "subscriptions.one.format: 'soap' is not known; there is standard, "),
        ('signature = "v2"', "subscriptions.one.signature: 'v2' is not known; there is v1, v1a"),
        ('signature = "v1a"', "subscriptions.one.secret: `whsec_` keys make v1 signatures"),
        ('headers = { Host = "x" }', "subscriptions.one.headers: 'host' cannot be set"),
        ('headers = { X = "env:NONE" }', "subscriptions.one.headers.X: none of env:NONE is set"),
        ('headers = { X = "hush\\u00e9" }', "subscriptions.one.headers: the value of 'x' must be"),
    ],
)
def test_an_invalid_setting_is_named_without_its_secret(
    tmp_path: Path, line: str, words: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        settings(tmp_path, line)
    assert words in str(refusal.value)
    assert "ringback.toml" in str(refusal.value)
    assert "hush" not in str(refusal.value)


def test_a_private_key_without_its_signature_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='set signature to "v1a"'):
        settings(tmp_path, secret=PRIVATE)
