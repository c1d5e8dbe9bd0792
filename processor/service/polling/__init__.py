"""Polls of providers. In reading order:

last_answer     a provider's last answer: for the mirror, and as the body of a 304
budget          the budget of an account: asked before each request, parked by the answers
poll_span       the span of a poll
postpone        polls that have to wait, in their place or after a failure
read_answer     reads an answer, a large one in a thread
poll            polls a job, and takes it through the answer
cancel          the provider's cancel call, at the deadline
statistics      writes what ends of jobs have shown, and says when a source turns poll-first
poll_all        has all unfinished jobs polled soon
after_trouble   has them polled after a start, and when Redis was replaced
run             the `poll` backlog
list_batches    which jobs one request can poll
list_answers    what a list says about them, and what to ask for next
list_request    sends a request that polls many jobs
list_poll       polls many jobs with one request
recent_answers  a small cache of answers, bounded in number and bytes
mirror_poll     polls for the mirror: one of a job at a time, within its source's limits
mirror          the provider's own status call, answered from the last poll
"""
