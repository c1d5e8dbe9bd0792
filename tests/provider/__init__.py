"""Profiles of providers, and their captures."""
