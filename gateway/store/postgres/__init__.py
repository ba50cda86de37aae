"""PostgreSQL: one database, served by any number of processes. `sqlite` has sibling files of the same names."""
