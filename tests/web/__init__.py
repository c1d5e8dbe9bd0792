"""The web, as callers see it: the real application on a real Redis.

calling     the application called through ASGI, and as a process on a port
documented  every answer held against /openapi.json
pushing     pushes, signed as providers sign them
"""
