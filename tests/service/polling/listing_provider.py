"""A provider that lists its jobs, on the loopback, and sources at it."""

import json
from collections.abc import Iterable
from typing import Any

from aiohttp import web

PAGE = 100  # jobs on a page, as in the profiles below

PAGED = """
[poll]
request = "GET /jobs/{id}"
id = "/id"
status = "/status"
result = "/result"
error = { message = "/error" }
every = ["1m", "1h"]

[poll.list]
request = "GET /jobs"
more = "GET /jobs?page={page}"
most = 100
each = "/data"
whole = true

[states]
running = "running"
succeeded = "succeeded"
failed = "failed"
"""
NAMED = PAGED.replace('"GET /jobs"', '"GET /named?ids={ids}"').replace(
    'more = "GET /jobs?page={page}"\n', ""
)
EXCERPT = PAGED.replace("whole = true", "")
WRAPPED = PAGED.replace("[poll]", '[poll]\nroot = "/job"')
PLACED = PAGED.replace("GET /jobs", "GET /{repo}/jobs").replace(
    "[poll]", '[submit]\nparams = { repo = "/repo" }\n\n[poll]'
)
BOTH = PAGED + PAGED[PAGED.index("[poll]") :].replace("GET /jobs", "GET /parts").replace(
    "[poll", "[kinds.part.poll"
).replace("[states]", "[kinds.part.states]")

PROFILES = {
    "paged": PAGED,
    "named": NAMED,
    "excerpt": EXCERPT,
    "wrapped": WRAPPED,
    "placed": PLACED,
    "both": BOTH,
    "reruns": PAGED.replace("[poll]", "[poll]\nreopens = true"),
    "unlearnt": PAGED.replace("[poll]", "[poll]\nlearn = false"),
    "slow": PAGED.replace("[poll]", '[poll]\nbudget = "20/1h"'),
}


class ListingProvider:
    """Answers polls of one job and lists, both from the same documents; it records what was asked."""

    def __init__(self) -> None:
        """Know no job."""
        self.url = ""
        self.asked: list[str] = []  # paths with their queries
        self.jobs: dict[str, Any] = {}  # what it says about each job, the newest first
        self.unlisted: set[str] = set()  # jobs that no list contains
        self.elements: dict[str, Any] = {}  # what a list says about a job, if something else
        self.list_status = 200
        self.list_headers: dict[str, str] = {}
        self.single_status = 200

    def says(self, ids: Iterable[object], **document: Any) -> None:
        """Say this about each of these jobs."""
        for one in ids:
            self.jobs[str(one)] = {"id": str(one), **document}

    @property
    def lists(self) -> list[str]:
        """The lists that were asked for."""
        return [path for path in self.asked if not path.rsplit("jobs/", 1)[1:]]

    @property
    def single(self) -> list[str]:
        """The jobs that were asked about alone, sorted."""
        return sorted(path.rsplit("jobs/", 1)[1] for path in self.asked if "jobs/" in path)

    def app(self) -> web.Application:
        """The application that answers."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        _, single, job = request.path.rpartition("jobs/")
        if single:
            known = job in self.jobs
            status = self.single_status if known else 404
            return web.json_response(self.jobs.get(job, {}), status=status)
        listed = [job for job in self.jobs if job not in self.unlisted]
        if "ids" in request.query:
            named = request.query["ids"].split(",")
            listed = [job for job in listed if job in named]
        else:
            first = PAGE * (int(request.query.get("page", "1")) - 1)
            listed = listed[first : first + PAGE]
        elements = [self.elements.get(job, self.jobs[job]) for job in listed]
        text = json.dumps({"data": elements})
        return web.Response(
            text=text,
            status=self.list_status,
            content_type="application/json",
            headers=self.list_headers,
        )
