"""The receiver, and all that it shares with the workers. In reading order:

errors      what can go wrong, as a tree
model       the nouns
machine     the state machine: where a job may go, and why it did not
schedule    when to ask again, when to try again
filters     which subscription wants which event
payload     an event as the bytes that a subscriber gets
text_input  text of files and variables, in any encoding that says which it is
json_input  JSON from outside, read as far as it can be
json_repair the text of JSON with its bad values taken out
forms       the fields of a form
durations   durations as people write them
sizes       sizes as people write them
signing     signatures, ours and the providers'
vault       secrets at rest: sealed with a master key
formats     events as requests: Standard Webhooks, CloudEvents
provider    what a profile may say, and how a push or an answer is read through it
providers/  one profile per provider: the folder is the list
simulation  what a provider would push and answer: reading, turned round
config      ringback.toml and the environment → Settings
store/      Redis: one method per script
egress      the one outbound HTTP client and its guard
service/    use cases: read → decide → write
web/        the receiver and the API
cli/        the command line
"""
