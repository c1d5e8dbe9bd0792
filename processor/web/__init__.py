"""The receiver and the API, over Starlette. In reading order:

__main__          one web process
client_address    which connections count as one sender's
listener          accepts connections, a few at a time
connection_limit  which idle connections are closed for new ones
corked_transport  sends the head of a response together with its body
close_delimited   a response without a length to a client of HTTP/1.0
upgrade_offers    ignores offers to switch protocols (`Upgrade: h2c`)
write_timeout     closes connections of slow readers
read_timeout      closes connections of slow senders (slowloris)
body_budget       limits the bytes of bodies in flight, and closes the slowest
read_scheduler    bodies are read in turns, addresses in rotation
rate_limit        rate limit for calls without a key, concurrency limit for large reads
process_limits    these limits, shared by all connections
protocol          one connection within these limits
problems          errors as problem+json
session           sessions of browsers: the cookie, and its CSRF token
auth              API keys, and sessions
request_body      request bodies, read and checked
body_errors       what is wrong with one, and what is allowed instead
query_params      paths and queries, read and checked
hooks             POST /hooks/{source}
jobs              /v1/jobs
groups            /v1/groups, /v1/wait
subscriptions     /v1/subscriptions, /v1/deliveries
sse               a response of server-sent events
stream            the event log as such a response
events            /v1/events: pages, or a stream
sources           /v1/sources
mirror_routes     which source and job a call of the mirror is about
mirror            /mirror
mcp               /mcp: for agents
health            /healthz, /readyz
metrics           /metrics
gauges            gauges of /metrics: the state of all work
dashboard         the pages of the dashboard
openapi           what is served, as OpenAPI 3.1
app               the routes
"""
