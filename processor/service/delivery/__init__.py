"""The `deliver` backlog. In reading order:

limits           concurrency limit and rate limit of each subscription
circuit_breaker  failure scores of subscribers: when to pause, how much concurrency, when to disable
batch            CloudEvents batches: several events in one request
attempt          one POST to a subscriber
settle           how a delivery went, written to Redis
deliver          attempt, then success, retry or dead letter
history          the deliveries of a subscription, listed
"""
