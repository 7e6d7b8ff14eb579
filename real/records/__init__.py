"""What made a result: jobs with their settings and code, their records, the manifest, and what verifies them."""
