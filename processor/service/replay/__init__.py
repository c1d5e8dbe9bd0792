"""Deliveries made again from the event log. In reading order:

plan      what a replay looks for, and its result
scan_log  one scan of the event log for a subscription
replay    everything that a subscription missed; POST /v1/subscriptions, which may begin in the past
retry     one delivery again, on request
overflow  what did not fit into a lane, delivered later from the event log
"""
