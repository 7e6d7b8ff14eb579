"""Restatements of mathematical answers: rewrites that keep a ground truth's value, and rewrites that change it.

The yardstick of the grader, which it must not use: nothing here imports `real`.
"""
