"""What the results show: tables, claims and the report."""
