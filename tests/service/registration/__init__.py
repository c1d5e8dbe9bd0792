"""Setting up our webhook at a provider."""
