"""Held updates: how long and how many, and the end of those that nobody has registered in time.

accept.lua holds them, and the commit that makes the job's record releases them.
"""

from collections.abc import Sequence
from enum import IntEnum

from processor.errors import WrongKeyType
from processor.store.connection import Connection
from processor.store.keys import Keys
from processor.store.refusals import wrong_key
from processor.store.script_args import ScriptArgs
from processor.store.work_items import Claim

HOLD = 86_400.0  # seconds
MOST_HELD = 10_000  # updates of a source, over all shards: each shard may hold an equal part
ALIASES_LAST = 2 * HOLD  # seconds; each push that names them prolongs that


class Acceptance(IntEnum):
    """What became of an update of a push."""

    DUPLICATE = 0
    ACCEPTED = 1
    HELD = 2
    FULL = 3  # nothing: its source holds as many as it may


_ACCEPTANCES = tuple(Acceptance)  # by number

Accepted = Acceptance | WrongKeyType | str
"""The result for one update; a text is the id of the job, which the update knows by an alias."""


def accepted(row: int | bytes) -> Accepted:
    """What accept.lua returned for one push."""
    if not isinstance(row, bytes):
        return _ACCEPTANCES[row]
    text = row.decode()
    return text.removeprefix("to ") if text.startswith("to ") else wrong_key(text)


class HoldEnd(IntEnum):
    """Whether the time of a claimed update in the hold is up."""

    NOT_HELD = 0  # or not any more
    ENDED = 1
    LOST = 2  # the claim: another worker has it


class HeldUpdates:
    """Held updates of all shards."""

    def __init__(self, connection: Connection, shards: Sequence[Keys]) -> None:
        self._connection = connection
        self._shards = shards

    async def counts(self, sources: Sequence[str]) -> dict[str, int]:
        """How many updates of each source are held."""
        counts = dict.fromkeys(sources, 0)
        for keys in self._shards if counts else ():
            command = self._connection.redis.hmget(keys.waiting, [f"held:{s}" for s in counts])
            for source, count in zip(counts, await self._connection.ask(command), strict=True):
                counts[source] += int(count or 0)
        return counts

    async def end(self, claims: Sequence[tuple[Claim, str]]) -> list[HoldEnd | WrongKeyType]:
        """End claimed updates of one shard, each with its job's id, if they are still held.

        Only an update whose time is up is claimed before it is released.
        """
        if not claims:
            return []
        keys = self._shards[claims[0][0].shard]
        args = ScriptArgs(keys)
        args.add(len(claims))
        for claim, job in claims:
            source, name = claim.lane, f"{claim.lane}/{job}"
            args.add(args.lane(claim.backlog, source), claim.item, claim.token)
            seen = keys.seen(source, claim.item.removeprefix(f"{source}:"))
            args.add(args.key(keys.held(name)), args.key(seen), args.key(keys.job(name)))
        rows = await self._connection.run("end_held", args.keys, args.pack())
        return [wrong_key(r.decode()) if isinstance(r, bytes) else HoldEnd(r) for r in rows]
