"""A package, so that no other one called tests stands in its place."""

import sys

from real.system import portable

# Before any module of the tests imports numpy or torch: what they check has the same bytes everywhere. A benchmark that
# borrows from the tests may have imported them.
if not {"numpy", "torch"} & sys.modules.keys():
    portable.pin()
