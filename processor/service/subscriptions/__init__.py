"""Subscriptions: the URLs that receive events. In reading order:

ids         ids of created subscriptions, and of those in the configuration file
validation  which URLs, secrets, filters, headers and rates are allowed
handshake   CloudEvents' webhook handshake (OPTIONS), the sender's half
manage      create, list, rotate, test, remove
update      PATCH, enable, disable
"""
