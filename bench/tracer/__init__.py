"""What a traced process of Ringback imports at its start."""
