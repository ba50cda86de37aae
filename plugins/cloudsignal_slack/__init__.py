"""Messages in a Slack channel about what went wrong. See README.md."""

from cloudsignal_slack.sink import SlackSink

__all__ = ["SlackSink"]
