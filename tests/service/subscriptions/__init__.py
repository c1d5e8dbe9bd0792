"""Changes of subscriptions."""
