"""Webhooks from providers."""
