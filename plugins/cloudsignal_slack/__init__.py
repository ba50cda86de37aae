"""Messages in Slack channels, for print errors and cancellations by default. See README.md."""

from cloudsignal_slack.sink import SlackSink

__all__ = ["SlackSink"]
