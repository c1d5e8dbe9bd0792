"""Webhooks from providers. In reading order:

public_keys  fetches and caches the public keys that providers publish
receive      verify, read, accept
"""
