"""What Slack's answer to a webhook's message means.

Sources: Slack's "Sending messages using incoming webhooks" and its changelog of 2016-05-17 (codes and statuses),
"Rate limits" (429 with Retry-After).
"""

from __future__ import annotations

import re

from gateway.sink import Misconfigured, Permanent, Response, RetryLater

TO_MEND = {
    "action_prohibited": "the workspace's admins do not allow this webhook to post there",
    "posting_to_general_channel_denied": "the workspace's admins do not allow apps to post there",
    "channel_not_found": "the webhook's channel is gone: make a new webhook",
    "channel_is_archived": "the webhook's channel is archived: unarchive it, or make a webhook for another",
    "user_not_found": "the webhook's user is gone: make a new webhook",
    "invalid_token": "webhook_url is not right, or was revoked: make a new webhook",
    "no_service": "there is no such webhook, or it was removed: make a new webhook",
    "no_service_id": "webhook_url is not complete",
    "no_active_hooks": "the webhook was disabled: enable it, or make a new one",
    "no_team": "there is no such workspace: look at webhook_url",
    "team_disabled": "the workspace is disabled",
}
"""Codes that stay until a person acts, and how."""

NOTHING_TO_POST = frozenset({"no_text", "missing_text", "missing_text_or_fallback_or_attachments"})
"""How Slack refuses a message with nothing in it."""


def code_of(response: Response) -> str:
    """The error code that Slack answers as plain text; "" where the body is anything else."""
    text = response.text.strip()
    return text if re.fullmatch(r"[a-z]+(_[a-z]+){1,7}", text) else ""


def judge(response: Response, now: float) -> None:
    """Return where the message was taken; else raise RetryLater, Permanent or Misconfigured.

    `now` is in seconds since the epoch, for a Retry-After that is a date.
    """
    status, code = response.status, code_of(response)
    answered = f"Slack answered {status} {code}".rstrip()
    if status == 200 and response.text.strip() == "ok":
        return
    if code in TO_MEND:
        raise Misconfigured(f"{answered}: {TO_MEND[code]}")
    response.raise_for_retry(now)
    if status >= 500:
        raise RetryLater(answered, response.retry_after(now))
    if status < 300:
        raise Misconfigured(f"answered {status}, but not as Slack does: look at webhook_url")
    if status < 400:
        raise Misconfigured(f"answered {status}, a redirect: look at webhook_url")
    if status in (400, 413):
        raise Permanent(answered)
    raise Misconfigured(f"{answered}: look at webhook_url")
