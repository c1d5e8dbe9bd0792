"""Visits the dashboard in a headless Chromium; run by test_dashboard.py in `.venv-browser`.

Reads what to visit from standard input as JSON, and prints what it saw as JSON.
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
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        page.on("dialog", lambda _: self.problems.append(f"{page.url}: a dialog"))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
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
            body, headers = request["body"].encode(), request["headers"]
            url = visit.plan["url"] + request["path"]
            urllib.request.urlopen(urllib.request.Request(url, body, headers)).close()  # noqa: S310
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


def main() -> None:
    """Visit all."""
    plan = json.load(sys.stdin)
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
                act(visit)
            problems += visit.problems
            page.close()
        browser.close()
    print(json.dumps(problems))  # noqa: T201 -- its answer


main()
