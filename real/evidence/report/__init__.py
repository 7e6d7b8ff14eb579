"""One page with a scale's claims, tables, figures, costs and provenance."""
