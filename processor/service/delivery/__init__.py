"""The `deliver` backlog. In reading order:

circuit_breaker  failure scores of subscribers: when to pause, how much concurrency, when to disable
limits           concurrency and rate limit of each subscription
batch            CloudEvents batches: several events in one request
deliver          attempt and settle
"""
