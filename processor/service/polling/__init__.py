"""Asking providers. In reading order:

last_answer     the last response of a provider: for the mirror, and for a 304
poll            the `poll` backlog
shared_calls    concurrent callers of the same call share one
recent_answers  a small cache of responses, bounded in number and bytes
mirror          the provider's own status call, answered from the last poll
"""
