"""Use cases: they read, decide and write. One folder a noun, the lowest layer first:

runtime        what every process and every use case works with
events         the event log: publish, order, follow
subscriptions  who is called back: create, check, change
jobs           the record of a job: look up, watch, ingest updates, advance
groups         many jobs and one callback
delivery       the `deliver` backlog: attempts, circuit breaker, limits
replay         deliveries made again from the event log: replay, retry, overflow
pushes         webhooks from providers: verify, read, accept
polling        the `poll` backlog, and the mirror of a provider's status call
registration   setting up our webhook at a provider
"""
