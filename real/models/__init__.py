"""Checkpoints and what samples from them: one protocol, three implementations."""
