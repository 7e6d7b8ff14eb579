"""Checkpoints and what samples from them: one interface, two implementations."""
