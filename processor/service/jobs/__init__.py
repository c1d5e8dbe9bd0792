"""The record of a job. In reading order:

watch_request  the body of PUT /v1/jobs, parsed and checked
watch          PUT and DELETE of a job, poll now
callbacks      the callback URLs of a job: lists them, and takes one back
poll_sooner    polls a job sooner while somebody waits for it
query          find, view, history
listing        the list of jobs, a page at a time
aliases        which job an update is about
confirmation   pushes that a poll must confirm (`trust = "refetch"`)
failed_polls   polls that fail in a row, and `job.poll_stalled`
job_end        what the end of a job shows about its source
poll_interval  when a job is polled next
decide         updates to one change, without I/O
update_spans   the span of an update
advance        read, decide, commit, again after a conflict
commit_together  answers of polls in one commit
inbox          accepts updates for ingest, each of them once
ingest         the `ingest` backlog
"""
