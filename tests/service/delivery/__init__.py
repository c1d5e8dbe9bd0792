"""Delivery to subscribers."""
