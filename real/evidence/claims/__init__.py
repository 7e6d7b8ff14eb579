"""The paper's claims, judged by a scale's own data."""
