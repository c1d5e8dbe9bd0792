"""Fixtures of the command line."""

from .stub_server import ringback, stub

__all__ = ["ringback", "stub"]
