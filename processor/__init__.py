"""Ringback: the receiver, the API and the workers, which call you back when a job is done.

The code in reading order, from the bottom up:

errors                 every error that Ringback raises on purpose, as a tree
event_types            the event types, and the group names of filters
subscription_settings  the settings of a subscription: one table for Redis, configuration and API
model                  the data model: job, status update, event, subscription, delivery
durations              parses durations and rates
job_durations          how long the last jobs of a source and kind took
sizes                  parses sizes
http_time              parses Retry-After, waits in any unit and timestamps
text_input             decodes text of files and variables, in any encoding with a mark
json_repair            repairs invalid JSON text
json_input             tolerant reader of JSON from outside
shared_calls           concurrent callers of the same call share one
keyed_locks            a lock for each key
large_body_queue       large bodies, of pushes and of answers to polls, are processed in turns
form_data              parses form-urlencoded and multipart bodies
group                  many jobs and one callback: how the ends of its members complete a group
state_machine          the state machine of a job: legal transitions, and why an update is ignored
schedule               the retry schedule of deliveries, poll intervals, circuit breaker pauses
poll_schedule          when to poll a job again, learnt from how long jobs took
push_loss              how many pushes of a source never come, and what follows for its polls
source_statistics      what the last jobs of a source have shown
hazard                 how likely a job of some age ends next, estimated from durations
event_filters          which subscriptions want which event
payload                the payload of an event, and a job as the API returns it
group_payload          a group as the API returns it, and the payload of its event
signing                signature verification of pushes, and the signatures of our deliveries
vault                  encryption of secrets at rest with a master key
formats                the delivery formats: Standard Webhooks, CloudEvents
provider               provider profiles: how pushes and poll responses are read
simulation             simulates a provider: writes pushes and responses from its profile
tokens                 the token of a source where it is renewed: from a file or a command
config                 ringback.toml and the environment, as Settings
store                  Redis: one method per Lua script
egress                 the one outbound HTTP client, and its SSRF guard
service                use cases: read, decide, write
web                    the receiver and the API over HTTP
cli                    the command line

The folder providers/ holds one profile per provider; it is the list of providers.
"""
