"""The receiver and the API, over Starlette.

__main__       one web process
heads          connections whose request never comes
takers         connections whose answer is never taken
listener       connections, accepted a few at a time
connection_limit  which idle ones give way to new ones
body_budget    bytes of bodies in flight, and which bodies give way
read_turns     bodies are read in turns
large_turns    large ones are taken in turns
address        which connections are one sender's
guards         these bounds, shared by all connections
protocol       one connection within them
app            the routes
access         who may call
problems       errors as problem+json
bodies         request bodies, read and checked
queries        what a call's URL says
hooks          POST /hooks/{source}
jobs           /v1/jobs
subscriptions  /v1/subscriptions, /v1/deliveries
events         /v1/events: pages, or a stream
stream         server-sent events
sources        /v1/sources
mirror         /mirror
mirror_routes  which source and job a call of the mirror is about
health         /healthz /readyz /metrics
openapi        what is served, as OpenAPI 3.1
"""
