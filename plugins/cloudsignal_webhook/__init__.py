"""Signals forwarded to a URL, signed as Standard Webhooks. See README.md."""

from cloudsignal_webhook.sink import WebhookSink

__all__ = ["WebhookSink"]
