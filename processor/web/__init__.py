"""The receiver and the API, over Starlette.

__main__       one web process
heads          connections whose request never comes
takers         connections whose answer is never taken
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
health         /healthz /readyz /metrics
openapi        what is served, as OpenAPI 3.1
"""
