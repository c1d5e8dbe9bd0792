"""Checks Redis' settings, rights and clock every few seconds, and logs what has changed."""

import structlog

from processor.store import Store
from processor.store.requirements import Problem

CHECK_INTERVAL = 5.0  # seconds

log = structlog.get_logger()


class RedisCheck:
    """What is wrong with Redis, as of the last check; each problem is logged once."""

    def __init__(self, store: Store, process: str) -> None:
        self._store = store
        self._process = process
        self.problems: list[Problem] = []

    async def check(self) -> float:
        """Check once; the seconds to wait until the next check."""
        before, self.problems = self.problems, await self._store.requirements.problems()
        known = {problem.name for problem in before}
        for problem in self.problems:
            if problem.name not in known:
                say = log.error if problem.lossy else log.warning
                say("redis_misconfigured", process=self._process, **problem._asdict())
        for name in sorted(known - {problem.name for problem in self.problems}):
            log.info("redis_corrected", process=self._process, name=name)
        return CHECK_INTERVAL
