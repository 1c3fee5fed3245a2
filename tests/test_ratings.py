"""What people say of responses: many writers, whole lines, the last word of each person counts."""

from __future__ import annotations

import multiprocessing
import zlib
from pathlib import Path

import pytest

from core.errors import RunDirError
from core.ratings import agreement, fingerprint, load_ratings, rate, rating_id, ratings_file, read_ratings
from core.run_dir import RunDir, create


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return create(tmp_path, "calm")


def scores(run: RunDir, by: str | None = None) -> dict[str, float | None]:
    return {id_: rating.score for id_, rating in read_ratings(run, by).items()}


def test_the_last_word_of_each_person_counts_and_can_be_taken_back(run: RunDir) -> None:
    assert scores(run) == {}
    rate(run, "1-0", 3, "ana")
    rate(run, "1-0", 7, "ana", "on a second look")
    rate(run, "1-1", 10, "ana")
    rate(run, "1-1", 2, "bob")
    assert scores(run, "ana") == {"1-0": 7.0, "1-1": 10.0}
    assert read_ratings(run)["1-0"].note == "on a second look"
    assert scores(run) == {"1-0": 7.0, "1-1": 2.0}, "of two people the newest"
    rate(run, "1-1", None, "bob")
    assert scores(run) == {"1-0": 7.0, "1-1": 10.0}, "what ana said stands"
    assert scores(run, "bob") == {}
    rate(run, "1-1", 4, "bob")
    assert scores(run, "bob") == {"1-1": 4.0}
    assert ratings_file(run).stat().st_mode & 0o777 == 0o600


def test_a_validation_and_a_step_of_one_number_are_two_things() -> None:
    assert rating_id("000010-0001", held_out=True) != rating_id("000010-0001")


@pytest.mark.parametrize("score", [-0.1, 10.1, float("nan"), float("inf")])
def test_a_score_outside_the_scale_is_refused(run: RunDir, score: float) -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.10"):
        rate(run, "1-0", score, "ana")
    assert not ratings_file(run).exists()


def test_torn_and_damaged_lines_are_passed_over_and_counted(run: RunDir) -> None:
    for number in range(3):
        rate(run, f"1-{number}", number, "ana")
    data = ratings_file(run).read_bytes()
    ends = [at for at, byte in enumerate(data) if byte == 10]
    for cut in range(len(data) + 1):
        ratings_file(run).write_bytes(data[:cut])
        whole = sum(end < cut for end in ends)
        assert (len(read_ratings(run)), load_ratings(run).damaged) == (whole, 0), cut
        rate(run, "1-9", 9, "bob")  # goes to a line of its own, whatever was left before it
        saved = cut in ends  # only its line feed was missing, and that one the next writer brings
        torn = cut > 0 and cut - 1 not in ends and not saved
        assert (len(read_ratings(run)), load_ratings(run).damaged) == (whole + saved + 1, int(torn)), cut
    for position in range(ends[0] + 1, ends[0] + 40):
        flipped = bytearray(data)
        flipped[position] ^= 4
        ratings_file(run).write_bytes(flipped)
        assert (sorted(scores(run)), load_ratings(run).damaged) == (["1-0", "1-2"], 1), position


def test_a_score_that_another_program_wrote_must_be_on_the_scale(run: RunDir) -> None:
    rate(run, "1-0", 9.0, "ana")
    body = ratings_file(run).read_bytes().partition(b",")[2].strip()
    wrong = body.replace(b'"score":9.0', b'"score":99.0')
    assert wrong != body
    ratings_file(run).write_bytes(b'{"crc":%d,' % zlib.crc32(wrong) + wrong + b"\n")
    assert (scores(run), load_ratings(run).damaged) == ({}, 1)


def _rate_many(path: Path, by: str, count: int) -> None:
    for number in range(count):
        rate(RunDir(path), f"1-{number}", number % 11, by, note="n" * 900)


def test_people_who_rate_at_once_lose_nothing(run: RunDir) -> None:
    spawn = multiprocessing.get_context("spawn")
    people = [spawn.Process(target=_rate_many, args=(run.path, by, 150)) for by in ("ana", "bob", "eve")]
    for process in people:
        process.start()
    for process in people:
        process.join(60)
        assert process.exitcode == 0
    loaded = load_ratings(run)
    assert loaded.damaged == 0
    for by in ("ana", "bob", "eve"):
        assert {id_: rating.score for id_, rating in loaded.newest(by).items()} == {
            f"1-{number}": number % 11 for number in range(150)
        }


def test_what_cannot_be_kept_says_so(run: RunDir) -> None:
    with pytest.raises(RunDirError, match="shorten the note"):
        rate(run, "1-0", 5, "ana", "n" * 70_000)
    ratings_file(run).mkdir()
    with pytest.raises(RunDirError, match=r"ratings\.jsonl: Is a directory; the rating is not kept"):
        rate(run, "1-0", 5, "ana")


@pytest.mark.parametrize("text", ["\x1b[31m", "\ud800", "[bold]", "\u202e", "\n\r\x00"])
def test_any_text_is_kept_on_one_line(run: RunDir, text: str) -> None:
    rate(run, text, 5, text, text, text=fingerprint(text))
    rate(run, "1-1", 6, "ana")
    assert ratings_file(run).read_bytes().count(b"\n") == 2
    assert sorted(rating.score or 0 for rating in read_ratings(run).values()) == [5, 6]


def test_agreement_is_the_rank_correlation_with_its_interval_over_prompts() -> None:
    perfect = agreement((score, 2 * score / 2, f"p{score}") for score in range(8))
    assert perfect.value == pytest.approx(1.0)
    assert perfect.ci95 is not None
    # Ranks 1 2 3 4 5 against 2 1 4 3 5: the squared differences sum to 4, so rho = 1 - 6 * 4 / (5 * 24) = 0.8.
    figure = agreement(zip([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], "abcde", strict=True))
    assert figure.value == pytest.approx(0.8)
    assert figure.ci95 is not None
    assert figure.ci95[0] < 0.8 <= figure.ci95[1]
    few = agreement([(1, 2, "a"), (2, 3, "b")])
    assert few.value is None
    assert "at least 4" in few.why
