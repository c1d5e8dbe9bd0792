"""What two checks show about a Redis, or data, that was replaced."""

import pytest

from processor.store.replacement import REMEMBERED, Replacement, ServerState, lost_seconds, replaced

BEFORE = ServerState(
    at=1000.0, run_id="run", replid="data", replid2="000", store="id", made=5.0, mark="999 2 a"
)
MARKS = frozenset({"1000 2 b"})
SAME = BEFORE._replace(at=1001.0, mark="1000 2 b")

CASES = {
    "nothing happened": (SAME, None),
    "a restart": (SAME._replace(run_id="run2", replid="data2"), Replacement.RESTARTED),
    "a restart that lost the last second": (
        SAME._replace(run_id="run2", replid="data2", mark="999 2 a"),
        Replacement.RESTORED,
    ),
    "an older copy, read by a new server": (
        SAME._replace(run_id="run2", mark=None),
        Replacement.RESTORED,
    ),
    "an older copy, read by the same server": (SAME._replace(mark="900 2 c"), Replacement.RESTORED),
    "a replica that had everything": (
        SAME._replace(run_id="run2", replid="data2", replid2="data"),
        Replacement.PROMOTED,
    ),
    "a replica that lacks the last change": (
        SAME._replace(run_id="run2", replid="data2", replid2="data", mark="999 2 a"),
        Replacement.PROMOTED,
    ),
    "the same server, with another history": (
        SAME._replace(replid="data2"),
        Replacement.RESTARTED,
    ),
    "emptied": (SAME._replace(store=None, mark=None), Replacement.EMPTIED),
    "emptied, and made by a process that looked earlier": (
        SAME._replace(store="id2", made=1000.5, mark=None),
        Replacement.EMPTIED,
    ),
    "emptied, and made in the millisecond of our last look": (
        SAME._replace(store="id2", made=999.9995, mark=None),
        Replacement.EMPTIED,
    ),
    "the store of another Ringback": (
        SAME._replace(store="id2", made=700.0, mark=None),
        Replacement.EXCHANGED,
    ),
    "asleep for so long that others removed our mark": (
        SAME._replace(at=1000.0 + REMEMBERED, mark=None),
        None,
    ),
    "asleep, and the data is older than our mark": (
        SAME._replace(at=1000.0 + REMEMBERED, mark="900 2 c"),
        Replacement.RESTORED,
    ),
}


@pytest.mark.parametrize(("now", "what"), CASES.values(), ids=CASES)
def test_what_happened_follows_from_two_checks(now: ServerState, what: Replacement | None):
    assert replaced(BEFORE, now, MARKS) == what


@pytest.mark.parametrize(("now", "what"), CASES.values(), ids=CASES)
def test_without_info_the_store_alone_shows_what_was_lost(
    now: ServerState, what: Replacement | None
):
    blind = {"run_id": None, "replid": None, "replid2": None}
    found = replaced(BEFORE._replace(**blind), now._replace(**blind), MARKS)
    if what is Replacement.PROMOTED:
        what = None if now.mark in MARKS else Replacement.RESTORED
    assert found == (None if what is Replacement.RESTARTED else what)


def test_a_mark_whose_answer_was_lost_may_be_written_or_not():
    both = frozenset({"1000 2 b", "1001 2 c"})
    for mark in both:
        assert replaced(BEFORE, SAME._replace(mark=mark), both) is None


def test_lost_seconds_are_measured_from_the_mark_that_is_there():
    assert lost_seconds("990.000 2 a", 1000.0) == 10.0
    assert lost_seconds(None, 1000.0) is None
