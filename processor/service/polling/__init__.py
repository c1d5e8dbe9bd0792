"""Polls of providers. In reading order:

last_answer     a provider's last answer: for the mirror, and as the body of a 304
poll            the `poll` backlog
push_loss       writes the statistics of sources, and says when polls wait for pushes no more
recent_answers  a small cache of answers, bounded in number and bytes
mirror          the provider's own status call, answered from the last poll
"""
