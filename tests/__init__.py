"""A package, so that no other one called tests stands in its place."""

from real.system import portable

# before any module of the tests imports numpy or torch: what they check has the same bytes everywhere
portable.pin()
