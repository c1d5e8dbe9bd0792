"""Opens the overview in a headless Chromium, and measures how responsive it stays.

Run by browser.py in `.venv-browser`: the plan comes as a line of JSON; it prints a line once the
page is open, measures until there is another line, and prints what it measured.
"""

import json
import sys
import threading
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

PRESS_EVERY = 200  # ms between two key presses
PATIENCE = 10_000  # ms until the page has shown everything
PROBE = """
window.seen = { events: 0, tasks: [], frames: [], inputs: [], reads: 0 };
const Source = window.EventSource;
window.EventSource = class extends Source {
  addEventListener(type, listener) {
    const count = (event) => { if ("lastEventId" in event) window.seen.events += 1; listener(event); };
    super.addEventListener(type, count);
  }
};
const read = window.fetch;
window.fetch = (...given) => { window.seen.reads += 1; return read(...given); };
const note = (type, list, more) =>
  new PerformanceObserver((found) => {
    for (const one of found.getEntries()) if (!more.name || one.name === more.name) list.push(one.duration);
  }).observe({ type, ...more.how });
note("longtask", window.seen.tasks, {});
note("event", window.seen.inputs, { name: "keydown", how: { durationThreshold: 16 } });
let before = null;
const frame = (at) => { if (before !== null) window.seen.frames.push(at - before); before = at; requestAnimationFrame(frame); };
requestAnimationFrame(frame);
"""
RESET = "for (const list of Object.values(seen)) if (Array.isArray(list)) list.length = 0"


def main() -> None:
    """Visit."""
    plan = json.loads(sys.stdin.readline())
    over = threading.Event()
    args = ["--no-sandbox", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=plan["chromium"], args=args)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(PROBE)
        sign_in(page, plan)
        devtools = page.context.new_cdp_session(page)
        page.wait_for_timeout(2000)  # what loading it costs is over
        before = memory(devtools)
        page.evaluate(RESET)
        say({})
        threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
        presses = 0
        while not over.is_set():
            page.keyboard.press("Tab")
            presses += 1
            page.wait_for_timeout(PRESS_EVERY)
        newest = shows_last(page, plan["last"])
        seen = page.evaluate("seen")
        after = memory(devtools)
        browser.close()
    say(summary(seen, presses, before, after) | {"newest": newest})


def sign_in(page: Page, plan: dict[str, Any]) -> None:
    """Open the overview."""
    page.goto(plan["url"])
    page.get_by_label("API key").fill(plan["key"])
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Overview").wait_for()


def shows_last(page: Page, last: str) -> bool:
    """Whether the page comes to show the last event by itself."""
    if last:
        page.locator("#events").get_by_text(last).first.wait_for(timeout=PATIENCE)
    return True


def memory(devtools: CDPSession) -> tuple[float, int]:
    """Megabytes of the script's heap and nodes of all documents, after a collection."""
    devtools.send("HeapProfiler.collectGarbage")
    used = devtools.send("Runtime.getHeapUsage")["usedSize"]
    return used / 1e6, devtools.send("Memory.getDOMCounters")["nodes"]


def summary(
    seen: dict[str, Any], presses: int, before: tuple[float, int], after: tuple[float, int]
) -> dict[str, Any]:
    """The figures. A key press that was answered within 16 ms is not reported, and counts as 16."""
    inputs = sorted([16.0] * max(presses - len(seen["inputs"]), 0) + seen["inputs"])
    frames, tasks = sorted(seen["frames"]), seen["tasks"]
    return {
        "events": seen["events"],
        "long_tasks": len(tasks),
        "longest_task": max(tasks, default=0.0),
        "frame_p99": frames[int(0.99 * (len(frames) - 1))],
        "frame_max": frames[-1],
        "input_p99": inputs[int(0.99 * (len(inputs) - 1))],
        "input_max": inputs[-1],
        "reads": seen["reads"],
        "heap_before": before[0],
        "heap_after": after[0],
        "nodes_before": before[1],
        "nodes_after": after[1],
    }


def say(what: dict[str, Any]) -> None:
    """Print a line of JSON."""
    print(json.dumps(what), flush=True)  # noqa: T201 -- its answer


main()
