"""Names under which a web dashboard imports what `breakwater_client` has."""
