"""Stateful searches for a counterexample (Hypothesis)."""
