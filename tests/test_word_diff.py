"""Words that differ between two texts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlaif_tui.text import safe
from rlaif_tui.word_diff import Part, compare


def _read(parts: tuple[Part, ...]) -> str:
    return "".join(part.text for part in parts)


def _plain(parts: tuple[Part, ...]) -> str:
    """The text without the signs."""
    return "".join(part.text[2:-2] if part.marked else part.text for part in parts)


def test_words_of_one_text_only_are_marked_with_signs() -> None:
    diff = compare("the cat sat on the mat", "the dog sat  on a mat now")
    assert _read(diff.left) == "the [-cat-] sat on [-the-] mat"
    assert _read(diff.right) == "the {+dog+} sat  on {+a+} mat {+now+}"
    assert [part.text for part in diff.right if part.marked] == ["{+dog+}", "{+a+}", "{+now+}"]
    assert diff.note == ""


def test_blanks_and_line_ends_are_no_difference() -> None:
    diff = compare("one two\nthree", "one  two three")
    assert not any(part.marked for part in (*diff.left, *diff.right))
    assert (_read(diff.left), _read(diff.right)) == ("one two\nthree", "one  two three")


@pytest.mark.parametrize(
    ("left", "right", "note"),
    [
        ("a b", "a b", "word for word the same"),
        ("", "", "word for word the same"),
        ("a b c", "x y z", "hardly a word in common, so none is marked"),
        ("", "x", "hardly a word in common, so none is marked"),
    ],
)
def test_what_has_no_marks_says_why(left: str, right: str, note: str) -> None:
    diff = compare(left, right)
    assert (_read(diff.left), _read(diff.right), diff.note) == (left, right, note)


def test_letters_of_scripts_without_spaces_are_words() -> None:
    diff = compare("木の葉が赤い", "木の花が赤い")
    assert (_read(diff.left), _read(diff.right)) == ("木の[-葉-]が赤い", "木の{+花+}が赤い")


def test_a_change_in_long_repeated_text_is_found() -> None:
    same = "the\n" * 3000  # a line of 10,000 characters is cut
    diff = compare(f"{same}cat {same}", f"{same}dog {same}")
    assert [part.text for part in (*diff.left, *diff.right) if part.marked] == ["[-cat-]", "{+dog+}"]


_texts = st.text(alphabet="ab \n\t\x1b\u202e木", max_size=60)


@settings(max_examples=150, deadline=None)
@given(_texts, _texts)
def test_without_the_signs_the_texts_are_whole(left: str, right: str) -> None:
    diff = compare(left, right)
    assert (_plain(diff.left), _plain(diff.right)) == (safe(left), safe(right))
    marked = [part.text for part in (*diff.left, *diff.right) if part.marked]
    assert all(re.fullmatch(r"\[-\S(.*\S)?-\]|\{\+\S(.*\S)?\+\}", text, re.DOTALL) for text in marked)
