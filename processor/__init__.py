"""The receiver and the API, and everything that they share with the workers. In reading order:

errors                 everything that can go wrong, as a tree
event_types            the event types, and the names that stand for several
subscription_settings  the settings of a subscription: one table for Redis, configuration and API
model                  the nouns
durations              durations as people write them
sizes                  sizes as people write them
http_time              Retry-After, and timestamps
text_input             text of files and variables, in any encoding that says which it is
json_repair            the text of JSON with its bad values removed
json_input             JSON from outside, read as far as possible
form_data              form-encoded and multipart bodies
state_machine          the state machine of a job: which moves are legal, and why one was ignored
schedule               when to poll again, and the retry schedule of deliveries
event_filters          which subscription wants which event
payload                an event as the bytes that a subscriber receives
signing                signature verification of pushes, and our own signatures
vault                  secrets at rest: encrypted with a master key
formats                events as requests: Standard Webhooks, CloudEvents
provider               what a profile may say, and how a push or a response is read through it
simulation             what a provider would push and respond: a profile read backwards
config                 ringback.toml and the environment, as Settings
store                  Redis: one method per script
egress                 the one outbound HTTP client, and its guard against SSRF
service                use cases: read, decide, write
web                    the receiver and the API
cli                    the command line

The folder providers/ has one profile per provider: it is the list.
"""
