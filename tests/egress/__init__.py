"""The outbound client: odd servers."""
