"""CloudSignal Gateway: takes Cloudprinter's signals into custody and delivers them to sinks."""

__version__ = "0.1.0"
