"""REDIS_URL: an unusable URL is refused at the start, in one line without secrets."""

import pytest
from redis.asyncio import BlockingConnectionPool

from processor.config import redis_url
from processor.errors import ConfigError

SECRET = "hunter2"

GOOD = (
    "redis://127.0.0.1:6379/0",
    "redis://localhost",
    "redis://[::1]:6379/3",
    "redis://user:hunter2@h:1/15",
    "redis://:hun%2Fter%402@h/0",
    "redis://:hun@ter2@h/0",  # redis-py takes the last @
    "rediss://h:6380/0?ssl_cert_reqs=none",
    "redis://h?db=3&password=hunter2",
    "rediss://h?ssl_password=hunter2",
    "redis://h?client_name=ringback-1",
    "unix:///run/redis.sock",
    "unix://user:hunter2@/run/redis.sock?db=1",
    "unix:///c%23/x.sock",
)
WRONG = (
    "localhost:6379",
    "127.0.0.1",
    "http://127.0.0.1:6379",
    "redis:/127.0.0.1",
    "redis://",
    "redis://127.0.0.1:port/0",
    "redis://127.0.0.1:70000/0",
    "redis://127.0.0.1:0/0",
    "redis://h:6379/zero",
    "redis://h:6379/0/1",
    "redis://:hunter2/3@h:6379/0",
    "redis://:hunter2#3@h:6379/0",
    "redis://:hunter2?3@h:6379/0",
    "redis://:p@hunter2/w@h:6379/0",
    "redis://:hunter2 3@h:6379/0",
    "redis://h:6379/0\n",
    "redis://h?db=zero",
    "redis://h?passwort=hunter2",
    "redis://h?protocol=4",
    "redis://[::1:6379/0",
    "redis://h:6379/\u0663",
    "redis://h?db=\u0663",
    "redis://h?client_name=a%20b",
    "redis://h?client_name=%D0%B0",
    "rediss://h?ssl_cert_reqs=hunter2",
    "rediss://h?ssl_ca_certs=/nowhere/hunter2.pem",
    "rediss://h?ssl_keyfile_password=hunter2",
    "unix://run/redis.sock",
    "unix:///c#/x.sock",
)


@pytest.mark.parametrize("url", GOOD)
def test_urls_that_redis_py_can_use_are_accepted(url: str) -> None:
    assert redis_url.checked("REDIS_URL", url) == url
    BlockingConnectionPool.from_url(url).make_connection()


@pytest.mark.parametrize("url", WRONG)
def test_an_unusable_redis_url_is_refused_in_one_line_without_a_secret(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        redis_url.checked("REDIS_URL", url)
    message = str(caught.value)
    assert message.startswith("REDIS_URL: ")
    assert "\n" not in message
    assert SECRET not in message


@pytest.mark.parametrize("url", GOOD)
def test_no_secret_is_shown(url: str) -> None:
    shown = redis_url.masked(url) + redis_url.address(url)
    assert SECRET not in shown
    assert "ter" not in shown
    assert ("********" in shown) == ("ter" in url)
    redis_url.checked("REDIS_URL", redis_url.masked(url))
