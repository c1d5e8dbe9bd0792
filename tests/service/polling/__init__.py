"""Polling of providers."""
