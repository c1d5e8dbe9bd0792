"""Subscriptions: the URLs that receive events. In reading order:

validation  which URLs, secrets, filters, headers and rates are allowed
handshake   CloudEvents' webhook handshake (OPTIONS), the sender's half
manage      create, list, rotate, test, remove
update      PATCH, enable, disable
"""
