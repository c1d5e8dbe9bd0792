"""Visits the dashboard in a headless Chromium; run by test_dashboard.py in `.venv-browser`.

Reads what to visit from standard input as a line of JSON, and prints what it saw as JSON. Before
that it may print a word, what is to be done to the server, and waits for a line once it is done.
"""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

LOOKS = {
    "desktop-light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "desktop-dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone-light": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
    "phone-dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
SERIOUS = ("serious", "critical")
WITHIN = 15_000  # ms


class Visit:
    """One browser window, and what was wrong in it."""

    def __init__(self, plan: dict[str, Any], page: Page, look: str) -> None:
        self.plan, self.page, self.look = plan, page, look
        self.problems: list[str] = []
        self.is_away = False  # the server, and the browser may say so
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        page.on("dialog", lambda _: self.problems.append(f"{page.url}: a dialog"))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning") and not self.is_away:
            self.problems.append(f"{self.page.url}: {message.text}")

    def sign_in(self) -> None:
        self.page.goto(self.plan["url"])
        self.check("sign-in")
        self.page.keyboard.type(self.plan["key"])  # the field has the focus
        self.page.keyboard.press("Enter")
        self.page.get_by_role("heading", name="Overview").wait_for(timeout=WITHIN)

    def read(self, name: str, path: str) -> None:
        answer = self.page.goto(self.plan["url"] + path)
        if answer is None or not answer.ok:
            self.problems.append(f"{path}: {answer and answer.status}")
        self.check(name)

    def push(self, request: dict[str, Any]) -> None:
        """Send a push."""
        url, body = self.plan["url"] + request["path"], request["body"].encode()
        made = urllib.request.Request(url, body, request["headers"])  # noqa: S310 -- ours
        urllib.request.urlopen(made).close()  # noqa: S310 -- ours

    def check(self, name: str) -> None:
        """Look for what axe-core finds, and for a page that is wider than the window."""
        if self.plan["axe"]:
            self.page.evaluate(Path(self.plan["axe"]).read_text(encoding="utf-8"))
            found = self.page.evaluate("() => axe.run().then((r) => r.violations)")
            for one in found:
                if one["impact"] in SERIOUS:
                    places = [node["target"] for node in one["nodes"]][:3]
                    self.problems.append(f"{self.look} {name}: {one['id']} at {places}")
        wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            self.problems.append(f"{self.look} {name}: {wide} px wider than the window")
        if self.plan["pictures"]:
            file = Path(self.plan["pictures"], f"{name}-{self.look}.png")
            self.page.screenshot(path=file, full_page=False)


def live(visit: Visit) -> None:
    """An event that comes while a page is open appears without a reload."""
    page = visit.page
    for path, requests in visit.plan["pushes"].items():
        page.goto(visit.plan["url"] + path)
        page.evaluate("window.untouched = true")
        page.wait_for_timeout(300)  # the stream opens, which has the page read once
        for request in requests:
            visit.push(request)
            page.get_by_text(request["shows"]).first.wait_for(timeout=WITHIN)
        if not page.evaluate("window.untouched === true"):
            visit.problems.append(f"{path}: it was loaded again")


def press(visit: Visit, name: str, says: str) -> None:
    visit.page.get_by_role("button", name=name, exact=True).first.click()
    visit.page.get_by_role("status").get_by_text(says).wait_for(timeout=WITHIN)


def act(visit: Visit) -> None:
    """Press every button."""
    page, url = visit.page, visit.plan["url"]
    page.goto(f"{url}/dashboard/jobs")
    page.get_by_text("Watch a job…").click()
    page.get_by_label("Source").last.select_option("service")
    page.get_by_label("Id").fill("by-hand")
    press(visit, "Watch", "The job is watched.")
    press(visit, "Poll now", "being asked")
    page.get_by_text("Stop watching…").click()
    press(visit, "Stop watching this job", "not watched any more")
    page.goto(url + visit.plan["subscription"])
    press(visit, "Send a test event", "on its way")
    press(visit, "Retry all dead letters", "being sent again")
    page.get_by_text("Replay…").click()
    press(visit, "Replay what it missed", "being sent again")
    page.get_by_text("Rotate the secret…").click()
    press(visit, "Make a new secret", "whsec_")
    page.goto(url + visit.plan["disabled"])
    press(visit, "Enable", "is enabled")
    page.goto(url + visit.plan["job"])
    page.get_by_role("button", name="Retry").first.click()
    page.get_by_role("status").get_by_text("being sent again").wait_for(timeout=WITHIN)
    page.goto(url)
    press(visit, "Sign out", "signed out")


def ask(word: str) -> None:
    """Have something done to the server."""
    print(word, flush=True)  # noqa: T201 -- its question
    sys.stdin.readline()


def keep_place(visit: Visit) -> None:
    """What is focused stays so, and what is scrolled, while rows come above it and change."""
    page, (path, request) = visit.page, visit.plan["above"]
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(visit.plan["url"] + path)
    page.locator("#jobs tbody a", has_text="film").focus()
    page.evaluate("document.querySelector('#jobs .wide').scrollLeft = 50")
    visit.push(request)
    page.locator("#jobs").get_by_text(request["shows"]).first.wait_for(timeout=WITHIN)
    if page.evaluate("document.activeElement.textContent") != "film":
        visit.problems.append("the focus moved when a row came")
    if page.evaluate("document.querySelector('#jobs .wide').scrollLeft") != 50:
        visit.problems.append("the table was scrolled back when a row came")
    page.set_viewport_size(LOOKS[visit.look]["viewport"])


def outlive(visit: Visit) -> None:
    """A server that is away is told of until it is back; the end of the session leads to the form."""
    page = visit.page
    page.goto(visit.plan["url"] + "/dashboard/jobs")
    page.wait_for_timeout(300)
    visit.is_away = True
    ask("stop")
    page.get_by_text("The server does not answer").wait_for(timeout=WITHIN)
    ask("start")
    page.locator("#connection").wait_for(state="hidden", timeout=WITHIN)
    pages = (("/", "Overview"), ("/dashboard/jobs?state=running", "Jobs"))
    for (path, back), request in zip(pages, visit.plan["later"], strict=True):
        page.goto(visit.plan["url"] + path)
        page.context.clear_cookies()
        visit.push(request)
        page.get_by_role("heading", name="Sign in").wait_for(timeout=WITHIN)
        page.get_by_label("API key").fill(visit.plan["key"])
        page.keyboard.press("Enter")
        page.get_by_role("heading", name=back).wait_for(timeout=WITHIN)
        if not page.url.endswith(path):
            visit.problems.append(f"signing in again led to {page.url}")
    page.goto(visit.plan["url"] + visit.plan["subscription"])
    page.context.clear_cookies()
    page.get_by_role("button", name="Send a test event").click()
    page.get_by_text("Your session had ended").wait_for(timeout=WITHIN)
    visit.is_away = False


def main() -> None:
    """Visit all."""
    plan = json.loads(sys.stdin.readline())
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=plan["chromium"], args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        for look, options in LOOKS.items():
            page = browser.new_page(**options)
            visit = Visit(plan, page, look)
            visit.sign_in()
            for name, path in plan["pages"].items():
                visit.read(name, path)
            if look == "desktop-light":
                live(visit)
                keep_place(visit)
                outlive(visit)
                visit.sign_in()
                act(visit)
            problems += visit.problems
            page.close()
        browser.close()
    print(json.dumps(problems))  # noqa: T201 -- its answer


main()
