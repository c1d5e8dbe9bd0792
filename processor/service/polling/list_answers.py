"""What a list says about the jobs of a batch, and what to ask for next: without I/O."""

from typing import NamedTuple

from processor import provider
from processor.model import FINAL, HttpResponse, StatusUpdate
from processor.provider import ListedJobs, ListPage
from processor.service.jobs.decide import Hurry, IncomingUpdate, with_id
from processor.service.polling.last_answer import LastAnswer
from processor.service.polling.list_batches import MOST_PAGES, WORTH_IT, ListBatch
from processor.store.work_items import Claim


class Answer(NamedTuple):
    """What a list says about a job, and the answer that a poll of this job alone would have got."""

    update: StatusUpdate
    response: HttpResponse | None

    @property
    def counts(self) -> bool:
        """Whether this is enough: without the whole answer the result of a job may be missing."""
        return self.response is not None or self.update.state not in FINAL

    def incoming(self, claim: Claim | None, now: float, hurry: Hurry) -> IncomingUpdate:
        """The update of a job; what the mirror repeats is stored only if it is the whole answer."""
        stored = LastAnswer.from_response(self.response, now).encode() if self.response else None
        return IncomingUpdate(self.update, claim, stored, hurry=hurry)


def match_answers(
    batch: ListBatch, listed: ListedJobs, response: HttpResponse
) -> dict[str, Answer]:
    """What a page says about the jobs of a batch, by their ids; the first element of a job counts."""
    names = {name: job.id for job in batch.jobs.values() for name in (job.id, *job.aliases)}
    found: dict[str, Answer] = {}
    for update, element in listed.jobs:
        job = next((names[name] for name in (update.id, *update.aliases) if name in names), None)
        if job is not None and job not in found:
            whole = provider.as_answer(batch.poll, element, response)
            found[job] = Answer(with_id(update, job), whole)
    return found


class ListQuery(NamedTuple):
    """The next request of a batch: which of its jobs have no answer yet, and the page."""

    batch: ListBatch
    waiting: tuple[str, ...]
    page: ListPage = ListPage()

    @property
    def is_worth_it(self) -> bool:
        """Whether it can answer enough jobs; pages may be in vain, but not most of them."""
        pages = 1 if self.batch.rules.names_jobs else self.page.number
        return len(self.waiting) >= WORTH_IT * pages and pages <= MOST_PAGES

    @property
    def ids(self) -> list[str]:
        """The jobs that the request may name, by the provider's ids."""
        named = self.waiting[: self.batch.rules.most]
        return [provider.bare_id(self.batch.kind, job) for job in named]

    def after(self, listed: ListedJobs, answered: dict[str, Answer]) -> "ListQuery":
        """The query after a response; none of its jobs waits if another request is not needed."""
        rules, claims = self.batch.rules, self.batch.claims.keys()
        if rules.names_jobs:
            rest = self.waiting[rules.most :]
            return self._replace(waiting=rest if claims & rest else ())
        rest = tuple(job for job in self.waiting if job not in answered)
        is_last = rules.most is None or listed.size < rules.most
        in_vain = len(answered) < WORTH_IT and not claims & rest
        page = ListPage(self.page.number + 1, listed.last)
        return ListQuery(self.batch, () if is_last or in_vain else rest, page)
