"""How often what is repeated, and after which pauses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """Pauses that double from `base_delay` up to `max_delay`, both in seconds."""

    retries: int
    """How often a failed call is repeated: 3 makes four attempts."""
    base_delay: float
    max_delay: float

    def delay(self, retry: int, retry_after: float | None = None) -> float:
        """Seconds before a repetition (1 is the first): not less than the service asks for, never more than `max_delay`."""
        return min(self.max_delay, max(self.base_delay * 2.0 ** (retry - 1), retry_after or 0.0))


CREATE = RetryPolicy(retries=3, base_delay=0.5, max_delay=4.0)
UPDATE = RetryPolicy(retries=3, base_delay=0.5, max_delay=4.0)
DELETE = RetryPolicy(retries=2, base_delay=1.0, max_delay=4.0)
READ = RetryPolicy(retries=2, base_delay=0.5, max_delay=2.0)
