"""Blind votes on a comparison: kept line by line, shuffled the same each time, set against the judge."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from core.compare.record import (
    ComparedModel,
    Comparison,
    DuelDone,
    Header,
    Reply,
    RowDone,
    Settings,
    comparisons,
    encode,
    read,
)
from core.compare.votes import Choice, is_swapped, judged, load_votes, place, tally, vote, votes_file
from core.errors import RunDirError
from core.run_dir import create
from core.types import Verdict


def _reply(text: str, score: float | None) -> Reply:
    verdict = None if score is None else Verdict(score=score, reward=0.0, reason="", backend="r", judge_version="v")
    return Reply(text=text, tokens=3, finish="stop", verdict=verdict)


def _comparison(folder: Path, scores: list[tuple[float | None, float | None]], duels: str = "") -> Comparison:
    """Two models on as many prompts as there are pairs of scores; ``duels``: w, t, l or e for each."""
    models = tuple(
        ComparedModel(label=label, named=label, title=label, kind="base", source=label) for label in ("A", "B")
    )
    header = Header(
        id="c1", time=0.0, models=models, settings=Settings(seed=7, temperature=1.0, max_new_tokens=8), data="held out",
        data_fingerprint="", rows=len(scores), judge="rubric", judge_version="v",
    )  # fmt: skip
    lines = [header]
    orders = {"w": ("B", "A"), "t": ("tie", "tie"), "l": ("A", "B"), "e": (None, "A"), "i": ("A", "A")}
    rows = [
        RowDone(
            row=at, prompt_id=f"p{at}", prompt=f"prompt {at}", prompt_tokens=2,
            replies=(_reply(f"a{at}", a), _reply(f"b{at}", b)),
        )
        for at, (a, b) in enumerate(scores)
    ]  # fmt: skip
    said = [
        DuelDone(row=at, left=0, right=1, first=orders[letter][0], second=orders[letter][1])
        for at, letter in enumerate(duels)
    ]
    path = folder / "c1.jsonl"
    path.write_bytes(b"".join(encode(line) + b"\n" for line in (*lines, *rows, *said)))
    found = read(path)
    assert found is not None
    return found


def _choices(comparison: Comparison, by: str) -> dict[int, Choice | None]:
    votes = load_votes(comparison.path)
    return {row.row: given.choice for row in comparison.rows if (given := votes.of(row, 0, 1, by)) is not None}


def test_the_last_word_of_each_person_counts_and_can_be_taken_back(tmp_path: Path) -> None:
    compared = _comparison(tmp_path, [(1.0, 2.0)] * 3)
    assert _choices(compared, "ana") == {}
    vote(compared, compared.rows[0], 0, 1, "win", "ana")
    vote(compared, compared.rows[0], 0, 1, "loss", "ana")
    vote(compared, compared.rows[0], 0, 1, "tie", "bob")
    vote(compared, compared.rows[2], 0, 1, "win", "ana")
    assert _choices(compared, "ana") == {0: "loss", 2: "win"}
    vote(compared, compared.rows[0], 0, 1, None, "ana")
    assert (_choices(compared, "ana"), _choices(compared, "bob")) == ({2: "win"}, {0: "tie"})
    assert votes_file(compared.path).stat().st_mode & 0o777 == 0o600
    assert votes_file(compared.path).read_bytes().count(b"\n") == 5


def test_the_votes_lie_beside_the_record_and_are_no_record(tmp_path: Path) -> None:
    run = create(tmp_path, "calm")
    folder = run.path / "comparisons"
    folder.mkdir()
    compared = _comparison(folder, [(1.0, 2.0)])
    vote(compared, compared.rows[0], 0, 1, "win")
    assert votes_file(compared.path).name == "c1.votes.jsonl"
    assert comparisons(run) == [compared.path]


def test_damaged_lines_are_counted_and_cost_no_other(tmp_path: Path) -> None:
    compared = _comparison(tmp_path, [(1.0, 2.0)] * 3)
    for row in compared.rows:
        vote(compared, row, 0, 1, "win", "ana")
    data = votes_file(compared.path).read_bytes()
    flipped = bytearray(data)
    flipped[data.index(b"\n") + 30] ^= 4
    votes_file(compared.path).write_bytes(flipped)
    assert (sorted(_choices(compared, "ana")), load_votes(compared.path).damaged) == ([0, 2], 1)
    votes_file(compared.path).write_bytes(data[:-9])
    vote(compared, compared.rows[0], 0, 1, "loss", "ana")  # on a line of its own behind the torn one
    assert (_choices(compared, "ana"), load_votes(compared.path).damaged) == ({0: "loss", 1: "win"}, 1)
    body = data.splitlines()[0].partition(b",")[2].replace(b'"left":0', b'"left":5')
    votes_file(compared.path).write_bytes(b'{"crc":%d,' % zlib.crc32(body) + body + b"\n")
    assert load_votes(compared.path).damaged == 1, "intact, but of no pair"


def test_a_vote_holds_only_for_the_texts_that_were_seen(tmp_path: Path) -> None:
    compared = _comparison(tmp_path, [(1.0, 2.0)] * 2)
    vote(compared, compared.rows[0], 0, 1, "win", "ana")
    changed = compared.path.read_bytes().replace(b'"b0"', b'"another"')
    assert changed != compared.path.read_bytes()
    compared.path.write_bytes(changed)
    anew = read(compared.path)
    assert anew is not None
    assert _choices(anew, "ana") == {}


def test_what_cannot_be_kept_says_so(tmp_path: Path) -> None:
    compared = _comparison(tmp_path, [(1.0, 2.0)])
    votes_file(compared.path).mkdir()
    with pytest.raises(RunDirError, match=r"votes\.jsonl: Is a directory; the vote is not kept"):
        vote(compared, compared.rows[0], 0, 1, "win")


def test_sides_and_order_are_shuffled_and_the_same_each_time(tmp_path: Path) -> None:
    compared = _comparison(tmp_path, [(1.0, 2.0)] * 200)
    sides = [is_swapped(compared, row, 0, 1) for row in compared.rows]
    again = read(compared.path)
    assert again is not None
    assert sides == [is_swapped(again, row, 0, 1) for row in again.rows]
    # Of 200 fair coins fewer than 65 or more than 135 heads come once in two million times; the seed is fixed anyway.
    assert 65 < sum(sides) < 135
    order = sorted(compared.rows, key=lambda row: place(compared, row, 0, 1))
    assert [row.row for row in order] != list(range(200))
    # The side must not follow from the place: among the first half of the order both sides occur as often.
    assert 30 < sum(is_swapped(compared, row, 0, 1) for row in order[:100]) < 70


def test_the_judge_is_asked_about_the_pair_first_and_by_scores_else(tmp_path: Path) -> None:
    compared = _comparison(tmp_path, [(1.0, 9.0), (9.0, 1.0), (5.0, 5.0), (None, 5.0), (1.0, 9.0)])
    assert [judged(row, 0, 1, None) for row in compared.rows] == ["win", "loss", "tie", None, "win"]
    duels = _comparison(tmp_path, [(1.0, 9.0)] * 5, "wtlei")
    said = [judged(row, 0, 1, duel) for row, duel in zip(duels.rows, duels.duels, strict=True)]
    assert said == ["win", "tie", "loss", None, "tie"]


def test_the_tally_sets_the_person_beside_the_judge(tmp_path: Path) -> None:
    compared = _comparison(tmp_path, [(5.0, 5.0)] * 8, "wwwwllte")
    mine: list[Choice] = ["win", "win", "win", "loss", "loss", "tie", "tie", "win"]
    for row, choice in zip(compared.rows, mine, strict=True):
        vote(compared, row, 0, 1, choice, "ana")
    vote(compared, compared.rows[0], 0, 1, "loss", "bob")
    result = tally(compared, load_votes(compared.path), 0, 1, "ana")
    assert (result.n, result.both) == (8, 7)
    assert dict(result.mine) == {"win": 4, "loss": 2, "tie": 2}
    assert dict(result.judge) == {"win": 4, "loss": 2, "tie": 1}
    # The same in rows 0, 1, 2, 4 and 6 of the 7 that the judge decided. Wilson's interval of 5 of 7 with z 1.959964:
    # centre (5 + z^2/2) / (7 + z^2) = 6.9207 / 10.8415 = 0.63836, half width z / (7 + z^2) * sqrt(5*2/7 + z^2/4)
    # = 0.180784 * 1.54562 = 0.27942.
    assert result.agreement.value == pytest.approx(5 / 7)
    assert result.agreement.ci95 == pytest.approx((0.35893, 0.91778), abs=1e-4)
    # Loss, tie, win as 0, 1, 2. Mine 2 2 2 0 0 1 1, the judge's 2 2 2 2 0 0 1: squared differences 4 + 1 = 5, mean 5/7.
    # Means 8/7 and 9/7, variances 14/7 - 64/49 = 34/49 and 17/7 - 81/49 = 38/49, squared bias 1/49.
    # Quadratic kappa = 1 - (35/49) / ((34 + 38 + 1)/49) = 1 - 35/73.
    assert result.kappa.value == pytest.approx(1 - 35 / 73)
    nobody = tally(compared, load_votes(compared.path), 0, 1, "eve")
    assert (nobody.n, nobody.agreement.value, nobody.kappa.value) == (0, None, None)
