"""The outbound HTTP client and its SSRF guard."""
