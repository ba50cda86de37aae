"""Queries that change nothing. Each runs on one connection, in one snapshot."""
