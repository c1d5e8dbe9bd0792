// Keeps the parts of a page that are marked `data-live` as they are on the server: an event of the
// stream, or some time without one, has the page read again, and what has changed is replaced.
"use strict";

const SOON = 1000; // ms from an event to the next read, at least
const IDLE = 15000; // ms after which a page is read without an event
const job = document.querySelector("main").dataset.job;
let timer = null;
let last = 0;
let stream = null;

function schedule(delay) {
  if (timer !== null) return;
  timer = setTimeout(refresh, Math.max(delay, last + SOON - Date.now()));
}

async function refresh() {
  timer = null;
  if (document.hidden) return; // `follow` has it read once somebody looks
  last = Date.now();
  try {
    const answer = await fetch(location.href);
    if (answer.redirected) return location.reload(); // the session has ended
    if (answer.ok) replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    // the server is away: the stream reconnects, and then the page is read again
  }
}

function replace(fresh) {
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(old.id);
    if (!now || now.innerHTML === old.innerHTML) continue;
    const focused = old.contains(document.activeElement) ? nameOf(document.activeElement) : null;
    old.replaceChildren(...now.childNodes);
    if (focused) {
      const all = old.querySelectorAll("a, button, [tabindex]");
      Array.from(all).find((one) => nameOf(one) === focused)?.focus({ preventScroll: true });
    }
  }
}

function nameOf(element) {
  return element.getAttribute("href") ?? element.form?.getAttribute("action") ?? element.ariaLabel;
}

// A browser has few connections to one server, so a page that nobody sees holds none.
function follow() {
  stream?.close();
  stream = null;
  if (document.hidden) return;
  stream = new EventSource("/v1/events" + (job ? `?job=${encodeURIComponent(job)}` : ""));
  stream.addEventListener("open", () => schedule(0));
  for (const type of document.body.dataset.eventTypes.split(" ")) {
    stream.addEventListener(type, () => schedule(SOON / 4));
  }
}

if (document.querySelector("[data-live]")) {
  follow();
  document.addEventListener("visibilitychange", follow);
  setInterval(() => Date.now() - last > IDLE && schedule(0), IDLE);
}

if (new URLSearchParams(location.search).has("notice")) {
  const url = new URL(location.href); // a reload does not say it again
  url.searchParams.delete("notice");
  history.replaceState(null, "", url);
}
