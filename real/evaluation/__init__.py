"""A checkpoint becomes one row per sampled answer."""
