"""SQLite: one file, served by one process. `postgres` has sibling files of the same names."""
