"""What the fuzz tests share: ``@fuzz(share)`` over hypothesis, with a count of the examples that ran.

The profile says how many: "project" for ``make test``, "fuzz" for ``make fuzz`` (tests/conftest.py).
"""

from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

from hypothesis import HealthCheck, given, settings

EXAMPLES: Counter[str] = Counter()
"""examples that ran, by test; tests/conftest.py prints them"""


def fuzz(share: float = 1.0, **strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """``@given(**strategies)`` with a share of the profile's examples: less than 1 where an example is slow."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def counted(*arguments: Any, **named: Any) -> None:
            EXAMPLES[test.__qualname__.partition(".")[0]] += 1
            test(*arguments, **named)

        count = max(1, round(settings.default.max_examples * share))
        # fixtures that are folders may be shared by examples: each writes its own files
        chosen = settings(max_examples=count, suppress_health_check=list(HealthCheck))
        return chosen(given(**strategies)(counted))

    return decorate
