// Keeps the parts of a page that are marked `data-live` as they are on the server: an event of the
// stream, or some time without one, has the page read again, and what differs is changed in place.
"use strict";

const SOON = 1000; // ms between two reads, at least
const SHARE = 10; // a slow server is given this many times what its answer took
const IDLE = 15000; // ms after which a page is read without an event
const AGAIN = 3000; // ms until a server that is away, or that ended the stream, is tried again
const job = document.querySelector("main").dataset.job;
const connection = document.getElementById("connection");
let timer = null; // of the next read
let reading = false;
let missed = false; // something happened during a read
let pause = SOON;
let last = 0; // when the last read ended
let known = Date.now(); // when the server last answered
let stream = null;
let reopening = null;

function schedule(delay) {
  if (reading) missed = true;
  else timer ??= setTimeout(refresh, Math.max(delay, last + pause - Date.now()));
}

async function refresh() {
  timer = null;
  if (document.hidden) return; // `follow` has it read once somebody looks
  reading = true;
  missed = false;
  const began = Date.now();
  const trouble = await read();
  last = Date.now();
  pause = trouble ? AGAIN : Math.max(SOON, SHARE * (last - began));
  reading = false;
  tell(trouble);
  if (missed || trouble) schedule(SOON / 4);
}

// Returns what is wrong, if anything is.
async function read() {
  let fresh;
  try {
    const answer = await fetch(location.href);
    if (answer.redirected) return location.reload(); // the session has ended
    if (answer.status === 404) return "This is no longer on the server";
    if (!answer.ok) return `The server answers ${answer.status}`;
    fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return "The server does not answer";
  }
  if (!fresh.querySelector("[data-live]")) return location.reload(); // the sign-in form
  known = Date.now();
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(old.id);
    if (now && !isInUse(old)) update(old, now);
  }
}

function tell(trouble) {
  const at = new Date(known).toLocaleTimeString();
  const text = trouble ? `${trouble}: this page shows what was known at ${at}. Trying again…` : "";
  if (connection.textContent !== text) connection.textContent = text;
  connection.hidden = !trouble;
}

// A list that runs is not moved away below the pointer, and a text that is being copied stays.
function isInUse(part) {
  const selection = getSelection();
  return (
    (!selection.isCollapsed && part.contains(selection.anchorNode)) ||
    (part.matches(".runs:hover") && matchMedia("(hover: hover)").matches)
  );
}

// Makes an element like a fresh one. What both have stays, with its focus and its scroll position.
function update(old, now) {
  for (const { name, value } of now.attributes) {
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (name !== "open" && !now.hasAttribute(name)) old.removeAttribute(name);
  }
  const rows = new Map([...old.children].map((child) => [child.dataset.key, child]));
  const wanted = new Set([...now.children].map((child) => child.dataset.key));
  let place = old.firstChild;
  const drop = () => {
    const next = place.nextSibling;
    place.remove();
    place = next;
  };
  for (const fresh of [...now.childNodes]) {
    while (place?.dataset?.key && !wanted.has(place.dataset.key)) drop();
    const same = fresh.dataset?.key ? rows.get(fresh.dataset.key) : place;
    if (same?.nodeName !== fresh.nodeName || same.dataset?.key !== fresh.dataset?.key) {
      old.insertBefore(fresh, place);
      continue;
    }
    if (same === place) place = place.nextSibling;
    else old.insertBefore(same, place);
    if (same.nodeType === Node.ELEMENT_NODE) update(same, fresh);
    else if (same.data !== fresh.data) same.data = fresh.data;
  }
  while (place) drop();
}

// A browser has few connections to one server, so a page that nobody sees holds none.
function follow() {
  stream?.close();
  stream = null;
  clearTimeout(reopening);
  if (document.hidden) return;
  stream = new EventSource("/v1/events" + (job ? `?job=${encodeURIComponent(job)}` : ""));
  stream.addEventListener("open", () => schedule(0));
  stream.addEventListener("error", () => {
    schedule(0);
    if (stream.readyState === EventSource.CLOSED) reopening = setTimeout(follow, AGAIN);
  });
  for (const type of document.body.dataset.eventTypes.split(" ")) {
    stream.addEventListener(type, () => schedule(SOON / 4));
  }
}

// Follows a search through jobs of which none on this page matches, until one does.
async function search() {
  let next = document.querySelector("[data-search-on]");
  if (!next) return;
  let href = next.href;
  next.textContent = "Searching older jobs…";
  while (next) {
    href = next.href;
    const answer = await fetch(href);
    if (!answer.ok || answer.redirected) break;
    next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-search-on]");
  }
  location.replace(href);
}

if (document.querySelector("[data-live]")) {
  follow();
  document.addEventListener("visibilitychange", follow);
  setInterval(() => Date.now() - last > IDLE && schedule(0), IDLE);
}
search();

if (new URLSearchParams(location.search).has("notice")) {
  const url = new URL(location.href); // a reload does not say it again
  url.searchParams.delete("notice");
  history.replaceState(null, "", url);
}
