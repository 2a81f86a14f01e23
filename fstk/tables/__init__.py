"""Features become feature tables: Delta tables that carry their keys, tags and lineage themselves."""
