"""What is stored under a name: a job, an alias, a tombstone, or a reservation."""

import msgspec

from processor.model import Job
from processor.store.versions import HELD, RESERVED

_decode_job = msgspec.json.Decoder(Job).decode


class JobLookup(msgspec.Struct, frozen=True):
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


NOTHING = JobLookup()


def lookup(row: bytes | None) -> JobLookup:
    """Read what Redis returned for a name."""
    if not row:
        return NOTHING
    word, _, rest = row.partition(b" ")
    version = word.decode()
    match version:
        case "gone":
            return JobLookup(version, deleted=True)
        case "to":
            return JobLookup(version, alias_of=rest.decode())
        case _ if version.startswith((RESERVED, HELD)):
            return JobLookup(version, uid=version.partition("-")[2])
        case _:
            return JobLookup(version, _decode_job(rest), size=len(rest))
