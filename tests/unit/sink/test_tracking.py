"""Tracking numbers in one field: each is kept whole, none is removed, and none is there twice."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.sink import has_tracking, merge_tracking, one_line

PAGE_3, PAGE_4 = "https://t.example/p?nr=1,2&x=3", "https://t.example/p?nr=1,2&x=4"


@pytest.mark.parametrize(
    ("present", "number", "merged"),
    [
        ("", "B", "B"),
        ("", "", ""),
        ("A", "", "A"),
        ("A", " ", "A"),
        ("A", "B", "A,B"),
        ("B,A", "A", "B,A"),
        ("A,B", "AB", "A,B,AB"),
        ("AB", "A", "AB,A"),
        ("A-1", "1", "A-1,1"),
        ("a", "A", "a,A"),
        # as a person wrote them
        (" A , B ", "C", "A , B,C"),
        (" B , A,", "A", "B , A,"),
        ("A,,A", "A", "A,,A"),
        ("A; B", "A", "A; B"),
        ("A; B", "B", "A; B"),
        ("A; B", "C", "A; B,C"),
        ("1Z 999 AA1, 1Z 999 AA2", "1Z 999 AA1", "1Z 999 AA1, 1Z 999 AA2"),
        ("see the label", "A", "see the label,A"),
        # URLs, commas, spaces and semicolons within a number
        (PAGE_3, PAGE_4, f"{PAGE_3}, {PAGE_4}"),
        (f"{PAGE_3}, {PAGE_4}", PAGE_3, f"{PAGE_3}, {PAGE_4}"),
        (f"{PAGE_3}, {PAGE_4}", PAGE_4, f"{PAGE_3}, {PAGE_4}"),
        ("https://t.example/p?nr=1,2", "2", "https://t.example/p?nr=1,2, 2"),
        ("https://t.example/p?nr=1;2", "2", "https://t.example/p?nr=1;2, 2"),
        (
            "https://t.example/p?nr=1,2",
            "https://t.example/p?nr=1",
            "https://t.example/p?nr=1,2, https://t.example/p?nr=1",
        ),
        ("A", PAGE_3, f"A, {PAGE_3}"),
        (f"A, {PAGE_3}", "A", f"A, {PAGE_3}"),
        (f"A,{PAGE_3}", "A", f"A,{PAGE_3}"),
        (f"{PAGE_3}, A", "A", f"{PAGE_3}, A"),
        ("HTTPS://T.EXAMPLE/?A,B", "B", "HTTPS://T.EXAMPLE/?A,B, B"),
        ("A,1", "A,2", "A,1,A,2"),
        ("A,1,A,2", "A,1", "A,1,A,2"),
        ("A;1", "1", "A;1,1"),
        ("A 1", "1", "A 1,1"),
        ("A 1,B 2", "B 2", "A 1,B 2"),
    ],
)
def test_numbers_are_only_added(present, number, merged):
    assert merge_tracking(present, number) == merged
    assert merge_tracking(merged, number) == merged


WORDS = st.text("AB1,; /:?=&", max_size=8)
TAILS = st.text("AB1,;/?=&", max_size=8)
URLS = st.builds("{}://t.example/{}".format, st.sampled_from(["http", "HTTPS", "app+x"]), TAILS)
NUMBERS = st.one_of(WORDS, URLS, st.builds("{} {}".format, WORDS, URLS), st.text(max_size=12)).map(one_line)
PRESENT = st.one_of(st.just(""), st.lists(NUMBERS, max_size=3).map(" , ".join), st.text(max_size=20))


@given(PRESENT, st.lists(NUMBERS, max_size=5), st.randoms())
@example("", [",", "a"], None)
@example("", ["a;", "b", "a;"], None)
@example("", ["b://c;", "d"], None)
@example("x://", ["b"], None)
def test_every_number_is_in_the_field_whole_and_a_repeat_changes_nothing(present, numbers, random):
    field = present
    for number in numbers:
        grown = merge_tracking(field, number)
        assert grown.startswith(field.strip())
        assert number in grown
        field = grown
    again = [number for number in numbers if number]
    if random is not None:
        random.shuffle(again)
    for number in again:
        assert has_tracking(field, number)
        assert merge_tracking(field, number) == field.strip()


PLAIN = st.text("AB1-", min_size=1, max_size=4)


@given(st.lists(st.one_of(PLAIN, URLS.map(lambda url: url.rstrip(",;"))), unique=True, max_size=6))
def test_the_sinks_own_field_can_be_read_back(numbers):
    """The field tells which numbers it has, if none has spaces and only URLs have commas."""
    field = ""
    for number in numbers:
        field = merge_tracking(field, number)
    for other in ("A", "1", "AB", "http://t.example/A", "http://t.example/A,1"):
        assert has_tracking(field, other) == (other in numbers)
