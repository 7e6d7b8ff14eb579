"""A package, so that no other one called tests stands in its place."""
