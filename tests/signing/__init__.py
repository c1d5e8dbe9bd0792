"""Signature verification and our own signatures."""
