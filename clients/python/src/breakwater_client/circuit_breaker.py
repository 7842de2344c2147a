"""Leaves a service alone that failed too often."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

CircuitState = Literal["closed", "open", "half-open"]


class CircuitBreaker:
    """Closed it lets everything pass; open, after failures in a row, nothing; after a while one trial decides.

    Safe to use from many threads.
    """

    def __init__(self, failure_threshold: int = 5, reset_timeout: float = 30.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        """With these limits.

        Args:
            failure_threshold: Failures in a row that open it, at least 1.
            reset_timeout: Seconds from opening to the trial.
            clock: Seconds that only ever grow.

        Raises:
            ValueError: When a limit is out of range.
        """
        if failure_threshold < 1:
            raise ValueError(f"failure_threshold is at least 1, not {failure_threshold}")
        if not reset_timeout >= 0:
            raise ValueError(f"reset_timeout is 0 or more seconds, not {reset_timeout}")
        self.failure_threshold = failure_threshold
        self.reset_timeout = reset_timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._trial_at: float | None = None

    @property
    def state(self) -> CircuitState:
        """`half-open` from the end of `reset_timeout` until the trial has ended."""
        with self._lock:
            if self._opened_at is None:
                return "closed"
            return "half-open" if self._clock() >= self._opened_at + self.reset_timeout else "open"

    @property
    def failures(self) -> int:
        """Failures in a row."""
        with self._lock:
            return self._failures

    def acquire(self) -> float | None:
        """Asks for one call: nothing when it may be made, otherwise the seconds to wait. Whoever may tells how it went."""
        with self._lock:
            if self._opened_at is None:
                return None
            now = self._clock()
            # A trial that never tells how it went, because its caller was cancelled, holds up the next one for no longer than this.
            last = self._opened_at if self._trial_at is None else self._trial_at
            left = last + self.reset_timeout - now
            if left > 0:
                return left
            self._trial_at = now
            return None

    def record_success(self) -> None:
        """The service answered; closes it."""
        with self._lock:
            self._failures = 0
            self._opened_at = self._trial_at = None

    def record_failure(self) -> None:
        """The service did not answer; opens it at the threshold, and again after a trial that failed."""
        with self._lock:
            self._failures += 1
            if self._trial_at is not None or (self._opened_at is None and self._failures >= self.failure_threshold):
                self._opened_at, self._trial_at = self._clock(), None

    def reset(self) -> None:
        """Closes it, whatever happened before."""
        self.record_success()
