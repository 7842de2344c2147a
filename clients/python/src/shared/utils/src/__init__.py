"""Names under which applications import what `breakwater_client` has."""
