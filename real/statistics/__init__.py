"""Intervals, paired differences, verdicts and power."""
