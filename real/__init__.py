"""REAL, rewards as labels: exact RLVR objectives and the experiments of arXiv 2602.05630.

Take ``real.objectives`` and ``real.exact`` into your own training; everything else reproduces the paper.
"""
