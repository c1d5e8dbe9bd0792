"""A job has one id, whichever commits Redis loses, and in whichever order pushes give its names.

`lose_writes` restores what Redis held after the newest push, PUT or DELETE, which were answered: what
workers have written since then is lost.
"""

import json
from collections import defaultdict
from pathlib import Path
from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
)

from processor.model import State
from processor.service.jobs import watch, watch_request
from processor.service.jobs.ingest import ingest
from processor.service.jobs.query import locate
from processor.store.expiry_list import START

from .losses import Losses, orders, search

NAMES = ("a", "x", "ax", "xa")  # the names in a push or a PUT, the id first


class Identity(Losses):
    """One job under two names, its workers, and a Redis that loses what they wrote."""

    def __init__(self, url: str, file: Path, shards: int) -> None:
        super().__init__(url, file, shards)
        self.life = 0  # deletions so far
        self.deleted = False  # and not watched again
        self.known: set[str] = set()  # names that are known to belong to the job so far
        self.published: defaultdict[tuple[int, int], set[str]] = defaultdict(set)

    def may_name(self, names: str) -> bool:
        """Whether these names belong to one job as far as anybody knows."""
        return not self.known or bool(self.known & set(names))

    def name(self, names: str) -> None:
        """Note known names; late pushes of a deleted job add none."""
        if not self.deleted:
            self.known |= set(names)

    # --- what happens -----------------------------------------------------------------

    @rule(
        names=st.sampled_from(NAMES),
        state=st.sampled_from([State.RUNNING, State.SUCCEEDED]),
        attempt=st.integers(1, 2),
    )
    def push(self, names: str, state: State, attempt: int) -> None:
        """A push is answered."""
        if not self.may_name(names):
            return
        self.name(names)
        self.accept(names[0], state, attempt, *names[1:])

    @rule(names=st.sampled_from(NAMES))
    def put(self, names: str) -> None:
        """A PUT is answered: for a known job, under a known name."""
        if self.known and names[0] not in self.known:
            return
        self.deleted = False
        self.name(names)
        request = watch_request.WatchRequest(aliases=list(names[1:]))
        self.do(watch.watch(self.context, "s", names[0], request))
        self.answered()

    @precondition(lambda self: self.known)
    @rule()
    def delete(self) -> None:
        """A DELETE is answered, if the job exists."""
        name = min(self.known)
        if self.do(locate(self.context, "s", name)).lookup.job is None:
            return
        self.do(watch.unwatch(self.context, "s", name))
        self.life, self.deleted = self.life + 1, True
        self.answered()

    @rule(limit=st.integers(1, 4), order=orders)
    def work_and_lose(self, limit: int, order: Random) -> None:
        """Redis is killed right after a worker has written, and loses that."""
        self.work(limit, order)
        self.lose_writes()

    @rule(limit=st.integers(1, 4), order=orders)
    def work(self, limit: int, order: Random) -> None:
        """A worker ingests some updates of the job."""
        for claims in self.claimed(limit, order):
            half = order.randint(0, len(claims))
            for some in filter(None, (claims[:half], claims[half:])):
                self.do(ingest(self.context, some))
        self.hear()

    # --- what always holds ------------------------------------------------------------

    @invariant()
    def an_attempt_in_a_life_of_the_job_has_one_completion(self) -> None:
        """And no other life of the job has the same id."""
        assert all(len(ids) == 1 for ids in self.published.values())
        ids = [event for some in self.published.values() for event in some]
        assert len(ids) == len(set(ids))

    @invariant()
    def there_is_one_job(self) -> None:
        """Under whichever name a push came."""
        assert len(self.do(self.store.jobs.listed(START, 10))) <= 1

    # --- how --------------------------------------------------------------------------

    def hear(self) -> None:
        """Note new completions in the log."""
        before = {event for ids in self.published.values() for event in ids}
        for event in self.do(self.store.events.page(self.store.events.start(), 10_000)):
            if event.type == "job.succeeded" and event.id not in before:
                attempt = json.loads(event.body)["data"]["attempt"]
                self.published[self.life, attempt].add(event.id)

    def teardown(self) -> None:
        """Ingest everything that is left."""
        try:
            self.work_off(lambda claims: ingest(self.context, claims))
            self.hear()
            self.an_attempt_in_a_life_of_the_job_has_one_completion()
            self.there_is_one_job()
        finally:
            self.disconnect()


@pytest.mark.parametrize("shards", [1, 4])
def test_a_job_has_one_completion_per_attempt_whatever_redis_loses(
    redis_url: str, tmp_path: Path, shards: int
):
    search(Identity, redis_url, tmp_path, shards, steps=20)
