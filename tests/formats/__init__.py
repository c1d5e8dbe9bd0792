"""What a subscriber receives."""
