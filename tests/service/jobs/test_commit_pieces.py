"""Commits are made in pieces by what a script gets for each job: a piece must not stop Redis."""

import pytest

from processor.model import Job
from processor.service.jobs.advance import size_of
from processor.store.change import Change, NewEvent
from processor.store.keys import Keys
from processor.store.script_args import ScriptArgs
from processor.store.work_items import NOW, WorkItem

JOB = Job("source", "provider", "job", "uid", 0.0, 60.0, 4_000_000_000.0)
PAYLOAD = b"x" * 200  # about what a delivery has


@pytest.mark.parametrize("subscriptions", [0, 1, 100, 10_000])
def test_the_deliveries_of_a_change_are_part_of_its_size(subscriptions: int):
    event = "evt_0123456789abcdef_1_final"
    deliveries = [
        WorkItem("deliver", f"sub_{n:08}", f"{event}.sub_{n:08}", NOW, PAYLOAD)
        for n in range(subscriptions)
    ]
    body = b"x" * 1000
    change = Change(JOB, "", save=True, events=[NewEvent(event, "job.succeeded", body, deliveries)])
    args = ScriptArgs(Keys(0))
    args.add_change(change, 4_000_000_000.0, b"x" * 300)
    sent = sum(map(len, args.keys)) + sum(map(len, args.pack()))
    assert sent < 2 * size_of(change)
