"""A word that an engineer of this field would search for leads to the file that decides the matter."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DECIDES = {
    "circuit breaker": "processor/service/delivery/circuit_breaker.py",
    "dedupe": "processor/service/jobs/inbox.py",
    "group": "processor/group.py",
    "overflow": "processor/service/replay/overflow.py",
    "poll schedule": "processor/poll_schedule.py",
    "rate limit": "processor/service/delivery/limits.py",
    "redact": "processor/config/redaction.py",
    "replay": "processor/service/replay/replay.py",
    "retention": "processor/config/retention.py",
    "retry schedule": "processor/schedule.py",
    "signature verification": "processor/signing/verify.py",
    "slowloris": "processor/web/read_timeout.py",
    "ssrf": "processor/egress/guard.py",
    "state machine": "processor/state_machine.py",
}


@pytest.mark.parametrize(("word", "file"), DECIDES.items())
def test_a_word_of_the_field_is_in_the_name_or_first_line_of_its_file(word: str, file: str):
    first, _, _ = (ROOT / file).read_text().partition("\n")
    name = file.rpartition("/")[2].replace("_", " ")
    assert word in name or word in first.casefold().replace("-", " ")
