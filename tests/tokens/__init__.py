"""Tokens from commands: real executables, on both event loops."""
