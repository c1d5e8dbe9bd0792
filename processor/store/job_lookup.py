"""What is stored under a name: a job, an alias, a tombstone, or a reservation."""

from typing import NamedTuple

import msgspec

from processor.model import Job
from processor.store.versions import HELD, RESERVED

_decode_job = msgspec.json.Decoder(Job).decode


class JobLookup(NamedTuple):
    """What is stored under a job's name: a job, an alias, a tombstone (`deleted`), or nothing.

    Or a reservation: updates of the job wait in ingest, and its record will have this `uid`. They
    may be held (`held`): nobody has registered the job yet.
    """

    version: str = ""
    job: Job | None = None
    alias_of: str | None = None  # the id of the job that this name is an alias of
    deleted: bool = False
    uid: str | None = None
    size: int = 0  # bytes of the record

    @property
    def held(self) -> bool:
        """Whether updates are held under this name."""
        return self.version.startswith(HELD)


def lookup(row: bytes | None) -> JobLookup:
    """Read what Redis returned for a name."""
    word, _, rest = (row or b"").partition(b" ")
    match word:
        case b"":
            return JobLookup()
        case b"gone":
            return JobLookup("gone", deleted=True)
        case b"to":
            return JobLookup("to", alias_of=rest.decode())
        case _ if (version := word.decode()).startswith((RESERVED, HELD)):
            return JobLookup(version, uid=version.partition("-")[2])
        case _:
            return JobLookup(word.decode(), _decode_job(rest), size=len(rest))
