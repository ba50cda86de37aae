"""Texts for people about signals, and a target's messages in errors."""

from gateway import signal_types
from gateway.sink import (
    compose_note,
    describe_signal,
    describe_type,
    first_line,
    note_prefix,
    one_line,
    text,
)
from tests.support.factory import make_delivery, make_signal


def test_every_type_has_words_and_an_unknown_one_its_own() -> None:
    assert describe_type(signal_types.ITEM_SHIPPED) == "item shipped"
    assert describe_type("Item\nLost") == "Item Lost"


def test_a_signal_is_described_by_what_it_tells() -> None:
    signal = make_signal(signal_types.ITEM_ERROR, cause="Paper jam.", delay="24")
    assert describe_signal(signal) == "print error, item 1, cause: Paper jam, expected delay in hours: 24"


def test_a_note_begins_as_its_type_says_and_ends_with_the_marks() -> None:
    delivery = make_delivery(signal_types.ITEM_SHIPPED, order=" ")
    note = compose_note(delivery, ["One remark", "another"], "[a]", "[b]")
    assert note.startswith(note_prefix(signal_types.ITEM_SHIPPED))
    assert note.endswith(". One remark. another. Print order ?. [a] [b]")


def test_free_text_of_the_sender_is_one_short_line() -> None:
    assert one_line("a\r\n\x00\x85b\ud800c ") == "a b c"
    assert one_line("x" * 1000) == "x" * 1000
    assert one_line("x" * 1001) == "x" * 999 + "…"


def test_of_what_a_target_says_the_first_line_is_kept_without_secrets() -> None:
    assert first_line("\n  your  key s3cret\tof p4ss \nTraceback", ["s3cret", "p4ss"]) == "your key *** of ***"
    assert first_line(None, []) == first_line(" \n ", []) == ""
    assert first_line("x" * 999, []) == "x" * (text.MAX_MESSAGE_LENGTH - 1) + "…"
    assert first_line("a\x00\ud800b", []) == "a b"


def test_a_secret_is_masked_before_a_message_is_cut() -> None:
    secret = "s3cret" * 8
    for before in range(text.MAX_MESSAGE_LENGTH - len(secret) - 5, text.MAX_MESSAGE_LENGTH + 5):
        assert "s3c" not in first_line("x" * before + secret, [secret])
    for before in range(text.MAX_SEARCHED_LENGTH - len(secret) - 1, text.MAX_SEARCHED_LENGTH + 1, 7):
        assert "s3c" not in first_line((secret + " ") * 400 + "\n" + "x" * before + secret, [secret])
    assert "s3c" not in first_line(secret * 1000, [secret])
