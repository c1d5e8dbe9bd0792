"""Sessions of browsers: who gets one, what it is good for, and when it ends."""

from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest

from processor.web.session import LIFETIME, Sessions, cookie_of

from .browsing import Browser
from .calling import KEY, Served, refused

NOW = 1_800_000_000.0
STATIC = ("dashboard.css", "dashboard.js", "icon.svg")


@pytest.fixture
async def browser(served: Served) -> AsyncIterator[Browser]:
    async with Browser(served.port) as made:
        yield made


def changed(text: str, place: int) -> str:
    return text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]


def test_a_session_is_valid_for_twelve_hours():
    cookie = Sessions(["k"]).create("k", NOW)
    assert Sessions(["k"]).read(cookie, NOW + LIFETIME - 1)
    assert not Sessions(["k"]).read(cookie, NOW + LIFETIME)


def test_a_session_ends_with_its_key_only():
    cookie = Sessions(["k1", "k2"]).create("k2", NOW)
    assert Sessions(["k3", "k2"]).read(cookie, NOW)
    assert not Sessions(["k1", "k3"]).read(cookie, NOW)


def test_every_character_of_a_cookie_is_signed():
    sessions = Sessions(["k"])
    cookie = sessions.create("k", NOW)
    assert not any(sessions.read(changed(cookie, n), NOW) for n in range(len(cookie)))


@pytest.mark.parametrize("cookie", ["", ".", "..", "1.2.3", "k", "9" * 5000, "é.ü.\ud800", "-1.x."])
def test_other_text_is_no_session(cookie: str):
    assert Sessions(["k"]).read(cookie, NOW) is None


def test_each_session_has_a_token_of_its_own_that_is_not_its_cookie():
    sessions = Sessions(["k"])
    cookies = [sessions.create("k", NOW) for _ in range(2)]
    tokens = [sessions.read(cookie, NOW).csrf_token for cookie in cookies]
    assert len({*tokens, *(c.rpartition(".")[2] for c in cookies)}) == 4
    first = sessions.read(cookies[0], NOW)
    assert first.allows(tokens[0])
    assert not any(first.allows(wrong) for wrong in ("", tokens[1], cookies[0], "é"))


def test_a_cookie_is_found_among_others():
    assert cookie_of(b"a=1; ringback_session=x.y.z; b=2") == "x.y.z"
    assert cookie_of(b"a=1") == cookie_of(b"") == cookie_of(b"\xff;;=") == ""


@pytest.mark.parametrize("other", ['x={"a": 1}', "x=a b", "a,b=1", "flag", "a[b]=\xff", '"', "=;="])
def test_no_cookie_of_another_program_hides_ours(other: str):
    header = f"{other}; ringback_session=x.y.z; {other}".encode("latin-1")
    assert cookie_of(header) == "x.y.z"


async def test_a_browser_without_a_key_gets_the_form_with_its_style_and_script(browser: Browser):
    page = await browser.read("/")
    assert 'type="password"' in page
    assert "Overview" not in page
    for name in STATIC:
        assert f"/dashboard/static/{name}" in page or name == "dashboard.js"
        await browser.read(f"/dashboard/static/{name}")
    assert (await browser.client.get("/dashboard/static/render.py")).status_code == 404


async def test_a_page_without_a_session_leads_to_the_form_and_back(browser: Browser):
    answer = await browser.client.get("/dashboard/jobs/feed/a%2Fb")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/?next=/dashboard/jobs/feed/a%252Fb"
    assert 'value="/dashboard/jobs/feed/a%2Fb"' in await browser.read(answer.headers["location"])
    signed_in = await browser.sign_in(next="/dashboard/jobs/feed/a%2Fb")
    assert signed_in.headers["location"] == "/dashboard/jobs/feed/a%2Fb"


async def test_a_page_keeps_its_filter_over_signing_in(browser: Browser):
    page = "/dashboard/jobs?state=failed&metadata=a:b"
    answer = await browser.client.get(page)
    form = await browser.read(answer.headers["location"])
    onward = unescape(form.partition('name="next" value="')[2].partition('"')[0])
    signed_in = await browser.sign_in(next=onward)
    assert signed_in.headers["location"] == page


@pytest.mark.parametrize(
    ("action", "page"),
    [
        ("/dashboard/jobs", "/dashboard/jobs"),
        ("/dashboard/jobs/feed/a%2Fb/poll", "/dashboard/jobs/feed/a%2Fb"),
        ("/dashboard/subscriptions/sub_1/test", "/dashboard/subscriptions/sub_1"),
        ("/dashboard/deliveries/1/retry", ""),
        ("/dashboard/sign-out", ""),
    ],
)
async def test_a_button_after_the_end_of_the_session_leads_to_the_form(
    browser: Browser, action: str, page: str
):
    html = {"accept": "text/html,*/*;q=0.8"}
    answer = await browser.client.post(action, data={"csrf_token": "old"}, headers=html)
    assert answer.status_code == 303
    form = await browser.read(answer.headers["location"])
    assert "Your session had ended, so nothing was done" in form
    assert f'name="next" value="{page}"' in form
    refused(await browser.client.post(action, data={"csrf_token": "old"}), 401)


@pytest.mark.parametrize(
    "onward",
    ["//evil.example", "https://evil.example/dashboard/", "/dashboard/\\x", "javascript:1"],
)
async def test_signing_in_leads_to_no_other_site(browser: Browser, onward: str):
    assert (await browser.sign_in(next=onward)).headers["location"] == "/"
    assert onward not in (await browser.client.get("/", params={"next": onward})).text


async def test_a_link_of_another_site_is_followed_once_more_with_the_cookie(browser: Browser):
    """The cookie is SameSite=Strict, so the first request of such a link comes without it."""
    other = {"sec-fetch-site": "cross-site"}
    page = await browser.client.get("/?next=/dashboard/jobs", headers=other)
    assert '<meta http-equiv="refresh" content="0; url=/dashboard/jobs">' in page.text
    assert "refresh" not in await browser.read("/?next=/dashboard/jobs")


async def test_a_wrong_key_gets_no_session(browser: Browser):
    for key in ("wrong", "", KEY[:-1], KEY + "x", "é"):
        answer = await browser.sign_in(key)
        assert answer.status_code == 401
        assert "not an API key" in answer.text
        assert "set-cookie" not in answer.headers
    refused(await browser.client.post("/session", json={"key": "wrong"}), 401)
    refused(await browser.client.post("/session", json={"key": KEY, "more": 1}), 422)
    refused(await browser.client.post("/session", content=b"x"), 415)


async def test_the_cookie_is_kept_from_scripts_and_other_sites(browser: Browser):
    answer = await browser.sign_in()
    cookie = answer.headers["set-cookie"].lower()
    for part in ("httponly", "samesite=strict", "path=/", f"max-age={LIFETIME}"):
        assert part in cookie
    assert "secure" not in cookie
    assert KEY not in cookie


@pytest.mark.parametrize(
    ("headers", "public"),
    [({"x-forwarded-proto": "https"}, ""), ({"host": "r.example"}, "https://r.example")],
)
async def test_over_https_the_cookie_is_secure(
    served_of: Any, headers: dict[str, str], public: str
):
    served = await served_of(**({"RINGBACK_PUBLIC_URL": public} if public else {}))
    async with Browser(served.port) as browser:
        answer = await browser.client.post("/session", data={"key": KEY}, headers=headers)
        assert "; secure" in answer.headers["set-cookie"].lower()


async def test_a_session_reads_the_api_and_nothing_else(browser: Browser):
    await browser.sign_in()
    for path in ("/v1/jobs", "/v1/sources", "/v1/subscriptions", "/v1/events"):
        assert (await browser.client.get(path)).status_code == 200
    for path in ("/metrics", "/openapi.json", "/mirror/bluesky/x", "/mcp", "/v1", "/nothing"):
        refused(await browser.client.get(path), 401)


async def test_every_other_call_of_a_session_needs_its_csrf_token(browser: Browser, served: Served):
    await browser.sign_in()
    page = await browser.read("/")
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    path = "/v1/jobs/feed/1"
    for wrong in ({}, {"x-csrf-token": ""}, {"x-csrf-token": changed(token, 0)}):
        for method in ("PUT", "DELETE", "POST", "PATCH"):
            refused(await browser.client.request(method, path, json={}, headers=wrong), 401)
    right = {"x-csrf-token": token}
    assert (await browser.client.put(path, json={}, headers=right)).status_code == 201
    assert (await browser.client.delete(path, headers=right)).status_code == 204
    assert (await served.client.put(path, json={})).status_code == 201  # a key needs no token


async def test_signing_out_makes_the_browser_forget(browser: Browser):
    await browser.sign_in()
    answer = await browser.submit("/", "/dashboard/sign-out")
    assert answer.status_code == 303
    assert not browser.client.cookies
    assert 'type="password"' in await browser.read(answer.headers["location"])


async def test_a_program_can_use_a_session_too(browser: Browser):
    answer = await browser.client.post("/session", json={"key": KEY})
    assert answer.status_code == 204
    page = await browser.read("/")
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    refused(await browser.client.delete("/session"), 401)
    assert (
        await browser.client.delete("/session", headers={"x-csrf-token": token})
    ).status_code == 204
    refused(await browser.client.get("/v1/jobs"), 401)
