"""What made a result: every job with its settings and code, its record, the manifest, and what holds results against them."""
