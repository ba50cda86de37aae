"""Writes that are the same on both databases: each file has the steps of one subject, with their statements."""
