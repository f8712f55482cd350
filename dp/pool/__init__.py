"""The growing training pool: in memory, and in a folder that survives being killed."""
