"""Replay, retry and overflow."""
