"""Leaves a service alone that failed too often."""

from breakwater_client import CircuitBreaker

__all__ = ["CircuitBreaker"]
