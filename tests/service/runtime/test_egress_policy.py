"""What the configuration says of hosts is checked at the start."""

import re
from pathlib import Path

import pytest

from processor.config import load
from processor.errors import ConfigError
from processor.service.runtime.process import egress_policy

SUBSCRIPTION = """
[subscriptions.billing]
url = "{url}"
secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
"""
SOURCE = '[sources.encoder]\nprovider = "standard"\n{} = "{}"\n'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[egress]\nallow = ["10.0.0.0/33"]', "10.0.0.0/33"),
        (SUBSCRIPTION.format(url="http://169.254.169.254/"), "subscriptions.billing.url: 169.254"),
        (SUBSCRIPTION.format(url="https://[fe80::1]/"), "which is never reached"),
        (SOURCE.format("base_url", "http://169.254.169.254/"), "sources.encoder.base_url: 169.254"),
        (SOURCE.format("status_url", "http://[fd00:ec2::254]/{id}"), "encoder.status_url: fd00"),
        (
            SOURCE.format("status_url", "https://me:hush@a.example/{id}"),
            "status_url: the URL carries",
        ),
        (
            SOURCE.format("base_url", "https://me:hush@a.example"),
            "base_url: the URL carries a user",
        ),
    ],
)
def test_hosts_that_can_never_be_reached_are_an_error(
    tmp_path: Path, text: str, named: str
) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        egress_policy(load(file, {}))
    assert named in str(error.value)
    assert "hush" not in str(error.value)


def test_every_bad_entry_and_every_bad_url_is_reported_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text('[egress]\nallow = ["10.0.0.1/8", "fine.internal", "a b"]\n')
    with pytest.raises(ConfigError) as error:
        egress_policy(load(file, {}))
    first, second = str(error.value).splitlines()
    assert first.startswith(f"{file}:2: egress.allow: '10.0.0.1/8': ")
    assert second.startswith(f"{file}:2: egress.allow: 'a b': ")
    url = "http://169.254.169.254/in"
    file.write_text(SUBSCRIPTION.format(url=url) + SOURCE.format("base_url", url))
    with pytest.raises(ConfigError) as error:
        egress_policy(load(file, {}))
    lines = str(error.value).splitlines()
    assert [re.match(rf"{file}:\d+: (\w+)\.", line)[1] for line in lines] == [
        "sources",
        "subscriptions",
    ]


def test_urls_of_the_file_may_be_private(tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    text = SUBSCRIPTION.format(url="http://10.1.2.3/in")
    file.write_text(text + SOURCE.format("status_url", "http://encoder.internal:8000/jobs/{id}"))
    assert not egress_policy(load(file, {})).names
