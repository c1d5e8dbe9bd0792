"""The client runs in both event loops: uvloop's, as in our processes, and asyncio's, as in the command line."""

import asyncio

import uvloop


def pytest_asyncio_loop_factories(config, item):
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
