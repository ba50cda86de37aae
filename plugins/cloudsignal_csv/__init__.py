"""CSV files with one row per signal, each exactly once. See README.md."""

from cloudsignal_csv.sink import CsvSink

__all__ = ["CsvSink"]
