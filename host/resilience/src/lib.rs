//! Breakers and bulkheads, generic over the call they protect.
