"""The `deliver` backlog. In reading order:

limits           concurrency limit and rate limit of each subscription
circuit_breaker  failure scores of subscribers: when to pause, how much concurrency, when to disable
batch            CloudEvents batches: several events in one request
deliver          attempt, retry, settle
history          the deliveries of a subscription, listed
"""
