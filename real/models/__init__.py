"""Checkpoints and what samples from them: one protocol, two implementations."""
