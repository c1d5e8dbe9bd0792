"""A provider that repeats our token in an error tells it to nobody: not to subscribers, the API or the log.

Each error is so long that it is cut, at each place of the token in turn.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from processor.service.jobs import query
from processor.service.jobs.watch import poll_now

from .test_cancel import expire, notes
from .test_command_tokens import TokenCommand
from .test_failed_polls import FIVE, fail, stalled

TOKEN = "sk-live-A1b2C3d4E5f6G7h8I9j0K1l2M3n4"
KNOWN = 8  # characters of its beginning that are no secret
PLACES = range(140, 200, 9)  # characters in front of the token


def echo(place: int, status: int) -> Any:
    """A handler that repeats the credential of a request behind so many characters."""

    async def answer(request: web.Request) -> web.Response:
        text = f"{'x ' * (place // 2)}authorization: {request.headers['authorization']} is bad"
        return web.json_response({"m": text}, status=status)

    return answer


def is_told(shown: Any) -> bool:
    """Whether something shows the token, or more than its beginning."""
    return TOKEN[: KNOWN + 1] in (
        shown if isinstance(shown, str) else json.dumps(shown, default=str)
    )


@pytest.mark.parametrize("place", PLACES)
async def test_a_failed_poll_tells_no_part_of_the_token(
    bench: Any, provider: Any, tmp_path: Path, place: int
):
    (tmp_path / "token").write_text(TOKEN)
    provider.stream("1", echo(place, 500))
    await bench.watch("1", "renewed")
    with capture_logs() as logs:
        await fail(bench, FIVE, source="renewed")
    assert provider.headers[-1]["authorization"] == f"Bearer {TOKEN}"
    (event,) = await stalled(bench)
    page = await bench.store.events.page(bench.store.events.start(), 1000)
    (body,) = [entry.body for entry in page if entry.id == event]
    view = await query.view(bench.context, await query.find(bench.context, "renewed", "1"))
    errors = await bench.store.poll_errors.read(await bench.store.now())
    assert view["poll"].last_error.startswith("HTTP 500: ")
    for shown in (body.decode(), view["poll"].last_error, str(errors), logs):
        assert "HTTP 500" in str(shown)
        assert not is_told(shown)


@pytest.mark.parametrize("place", PLACES)
async def test_a_refused_token_stalls_its_source_and_is_not_told(
    bench: Any, provider: Any, tmp_path: Path, place: int
):
    (tmp_path / "token").write_text(TOKEN)
    provider.stream("1", echo(place, 401))
    await bench.watch("1", "renewed")
    await poll_now(bench.context, "renewed", "1")
    await bench.poll()
    why = (await bench.store.stalled_sources.read())["renewed"]
    assert why.startswith("HTTP 401: ")
    assert not is_told(why)


async def test_a_token_of_a_file_that_is_renewed_during_the_request_is_not_told(
    bench: Any, provider: Any, tmp_path: Path
):
    async def renew(request: web.Request) -> web.Response:
        (tmp_path / "token").write_text("the next one")
        return web.Response(text=f"bad {request.headers['authorization']}, sorry", status=500)

    (tmp_path / "token").write_text(TOKEN)
    provider.stream("1", renew)
    await bench.watch("1", "renewed")
    await fail(bench, 1, source="renewed")
    error = (await bench.job("1", "renewed")).failed_polls.error
    assert error == "HTTP 500: bad Bearer ********, sorry"


async def test_an_answer_that_breaks_off_inside_the_token_tells_no_part_of_it(
    bench: Any, provider: Any, tmp_path: Path
):
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500, headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(f'{{"m": "{TOKEN[:20]}'.encode())
        request.transport.close()  # type: ignore[union-attr] # it is open
        return response

    (tmp_path / "token").write_text(TOKEN)
    provider.stream("1", break_off)
    await bench.watch("1", "renewed")
    await fail(bench, 1, source="renewed")
    error = (await bench.job("1", "renewed")).failed_polls.error
    assert error == 'HTTP 500: {"m": "********'


@pytest.mark.parametrize("place", PLACES)
async def test_a_failed_cancel_call_tells_no_part_of_the_token(
    bench: Any, provider: Any, tmp_path: Path, wait_until: Any, place: int
):
    TokenCommand(tmp_path).prints(TOKEN)
    provider.wants("Bearer another", says=f"{'x ' * (place // 2)}{TOKEN} is bad")
    await expire(bench, wait_until, "costly")
    with capture_logs() as logs:
        await bench.poll()
    assert provider.canceled == ["1"]
    ((_, word, why),) = await notes(bench, "costly")
    assert (word, why[:10]) == ("cancel_failed", "HTTP 401: ")
    assert not is_told([why, logs])
