"""Slack's answers, and the result that each means for a delivery.

Sources: Slack's "Sending messages using incoming webhooks" and its changelog of 2016-05-17 (codes and statuses of
webhooks); the error tables of chat.postMessage, chat.update and auth.test; "Rate limits" (429 with Retry-After).
"""

from __future__ import annotations

import re
from typing import Any

from gateway.sink import Misconfigured, Permanent, Response, RetryLater

WEBHOOK_MISCONFIGURED = {
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
"""Error codes of webhooks that last until a person acts, each with the remedy."""

EMPTY_MESSAGE = frozenset({"no_text", "missing_text", "missing_text_or_fallback_or_attachments"})
"""Error codes for an empty message, which show that the webhook exists."""

BOT_MISCONFIGURED = {
    **dict.fromkeys(("invalid_auth", "not_authed"), "the token is not right"),
    **dict.fromkeys(
        ("account_inactive", "token_revoked", "token_expired"), "the token has ended: install the app again"
    ),
    "missing_scope": "the app needs the scope chat:write",
    "not_allowed_token_type": "the token must be a bot's: xoxb-…",
    "channel_not_found": "there is no such channel, or the bot is not in it: /invite it, or give the channel's id",
    "not_in_channel": "the bot is not in the channel: /invite it, or give the app chat:write.public",
    "is_archived": "the channel is archived: unarchive it, or choose another",
    **dict.fromkeys(
        ("restricted_action", "restricted_action_read_only_channel", "restricted_action_non_threadable_channel"),
        "the workspace's admins do not allow the app to post there",
    ),
    **dict.fromkeys(
        ("no_permission", "access_denied", "team_access_not_granted", "ekm_access_denied", "org_login_required"),
        "the app has no access to the workspace",
    ),
    **dict.fromkeys(("enterprise_is_restricted", "two_factor_setup_required"), "the workspace restricts the app"),
    **dict.fromkeys(("method_deprecated", "deprecated_endpoint", "unknown_method"), "look at api_url"),
}
"""Error codes of the Web API that last until a person acts, each with the remedy."""

BOT_PERMANENT = frozenset(
    {
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_arguments",
        "invalid_arg_name",
        "invalid_array_arg",
        "invalid_charset",
        "invalid_json",
        "json_not_object",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
    }
)
"""Error codes of the Web API that are due to the message itself: it is a dead letter."""

THREAD_GONE = frozenset(
    {
        "cannot_reply_to_message",
        "cant_update_message",
        "edit_window_closed",
        "message_not_found",
        "restricted_action_thread_locked",
        "thread_not_found",
    }
)
"""Error codes for a thread with a root that was deleted or locked, or is too old to edit."""


class ThreadGone(Exception):
    """The thread can't be used any more; the order needs a new one."""


def code_of(response: Response) -> str:
    """Return the error code in a webhook's answer, which is plain text; "" for any other body."""
    return as_code(response.text.strip())


def as_code(value: object) -> str:
    """Return a value that looks like an error code, "" for any other: it may be a secret that was sent back."""
    return value if isinstance(value, str) and re.fullmatch(r"[a-z]+(_[a-z]+){0,7}", value) else ""


def judge(response: Response, now: float) -> None:
    """Return if the webhook took the message; else raise RetryLater, Permanent or Misconfigured.

    `now` is in seconds since the epoch, for a Retry-After that is a date.
    """
    status, code = response.status, code_of(response)
    if 200 <= status < 300:
        judge_success(response)
        return
    answered = f"Slack answered {status} {code}".rstrip()
    if code in WEBHOOK_MISCONFIGURED:
        raise Misconfigured(f"{answered}: {WEBHOOK_MISCONFIGURED[code]}")
    judge_status(response, now, answered, "webhook_url")
    if status in (400, 413):
        raise Permanent(answered)
    raise Misconfigured(f"{answered}: look at webhook_url")


def judge_success(response: Response) -> None:
    """Return unless the body of a success shows that no message was taken. Raises Misconfigured.

    Slack answers `ok`; servers with webhooks of the same kind answer `{"success": true}`, other words or nothing. A
    message that was taken must not be posted again, so only a refusal and a web page count as not taken.
    """
    text = response.text.strip()
    code = as_code(text)
    if text.startswith("{"):
        fields = read_fields(response)
        refused = fields.get("ok") is False or fields.get("success") is False
        code = (as_code(fields.get("error")) or "a refusal") if refused else ""
    elif code not in WEBHOOK_MISCONFIGURED:
        code = "a page" if text.startswith("<") else ""
    if code:
        remedy = WEBHOOK_MISCONFIGURED.get(code, "look at webhook_url")
        raise Misconfigured(f"answered {response.status} with {code}: {remedy}")


def read_fields(response: Response) -> dict[str, Any]:
    """Return the fields of a JSON object, none for any other body."""
    try:
        fields = response.json()
    except RetryLater:
        return {}
    return fields if isinstance(fields, dict) else {}


def judge_call(response: Response, now: float) -> dict[str, Any]:
    """Return the Web API's answer to a successful call; else raise as `judge` does, or ThreadGone."""
    if response.status == 200 and response.is_json:
        body = response.json()
        if isinstance(body, dict) and body.get("ok") is True:
            return body
        code = as_code(body.get("error")) if isinstance(body, dict) else ""
        answered = f"Slack answered {code or 'no code'}"
        if code in BOT_MISCONFIGURED:
            raise Misconfigured(f"{answered}: {BOT_MISCONFIGURED[code]}")
        if code in THREAD_GONE:
            raise ThreadGone(answered)
        # An unknown code may be temporary, so it is retried. The route's retry settings end it.
        raise (Permanent if code in BOT_PERMANENT else RetryLater)(answered)
    answered = f"Slack answered {response.status}"
    judge_status(response, now, answered, "api_url")
    raise Misconfigured(f"{answered}: look at api_url and token")


def judge_status(response: Response, now: float, answered: str, option: str) -> None:
    """Raise for a status that needs no look at the error code."""
    response.raise_for_retry(now)
    if response.status >= 500:
        raise RetryLater(answered, response.retry_after(now))
    if response.status < 300:
        raise Misconfigured(f"answered {response.status}, but not as Slack does: look at {option}")
    if response.status < 400:
        raise Misconfigured(f"answered {response.status}, a redirect: look at {option}")
