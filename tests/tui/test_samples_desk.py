from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from samples_runs import PROMPTS, empty_run, failure, judged, put, rollout, sampled_run, verdict

from core.ratings import rate
from core.rollout_log import supersede_after
from core.run_dir import RunDir, RunLock
from core.types import JudgedRollout, RefereeResult, Rollout
from rlaif_tui.desks.samples import SamplesDesk
from rlaif_tui.desks.samples_filter import FilterError, parse
from rlaif_tui.desks.samples_store import Order, Query
from rlaif_tui.desks.samples_tokens import pieces
from rlaif_tui.export_files import OutputError
from rlaif_tui.pins import Pin, toggle


async def ready(run: RunDir, **more: float) -> SamplesDesk:
    """A desk that has read all there is."""
    desk = SamplesDesk(**more)
    desk.attach(run)
    while (await desk.refresh()).left:
        pass
    return desk


async def found(desk: SamplesDesk, written: str = "", **more: object) -> list[str]:
    """Keys of the rows that match, in order."""
    listing = await desk.listing(Query(filter=parse(written), **more))  # type: ignore[arg-type]
    return [row.key for row in listing.rows]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("score<2.2", ["4-0"]),
        ("score<=2.1 or score>8.8", ["4-0", "1-2"]),
        ("step=2", ["2-0", "2-1", "2-2", "2-3"]),
        ("step>=3 score>5 -cut", ["4-1", "v4-0", "3-1"]),
        ("failed", ["2-3"]),
        ("unused", ["2-3"]),
        ("cut step<2", ["1-2"]),
        ("flagged step>2", ["4-1", "3-1"]),
        ("validation", ["v4-0"]),
        ("kl>2.9", ["4-1", "3-1"]),
        ("kl<0 step!=1 step!=2", ["4-2", "3-2"]),
        ("reward>0.75", ["2-2", "1-2"]),
        ("len<9 step=1", ["1-2"]),
        ("you>4", ["3-1"]),
        ("rated -pinned", ["3-1"]),
        ("PAPER step=1", ["1-1"]),
        ('"air bends" step=1', ["1-0"]),
        ('step=1 "wrong"', ["1-0"]),
        ('"said nothing"', ["2-3"]),
        ("no-such-word", []),
        ("score!=0 step=2", ["2-0", "2-1", "2-2"]),
        ("pinned step=1", ["1-2"]),
    ],
)
async def test_a_filter_finds_what_it_says(root: Path, written: str, expected: list[str]) -> None:
    run = sampled_run(root)
    rate(run, "000003-0001", 8)
    toggle(run, Pin("p2", "What is a third of 96?"))
    desk = await ready(run)
    wanted = [
        f"validation:00000{name[1]}-0000" if name[0] == "v" else f"00000{name[0]}-000{name[2]}" for name in expected
    ]
    assert await found(desk, written) == wanted


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("score<x", "'score<x': 'x' is no number; write score<4"),
        ("score<", "'' is no number"),
        ("score>nan", "'nan' is no number"),
        ("scor<4", "no field 'scor'; did you mean score?"),
        ("zzz=4", "there are score, reward, kl, len, step, you"),
        ('"open', "a quote is not closed"),
        ("or cut", "'or' stands between two terms"),
        ("cut or", "'or' stands between two terms"),
    ],
)
def test_a_filter_that_means_nothing_says_why(written: str, said: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(written)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("order", "turned", "first", "last"),
    [
        ("step", False, "000004-0000", "000001-0002"),
        ("step", True, "000001-0000", "validation:000004-0000"),
        ("score", False, "000004-0000", "000002-0003"),  # 2.1 is least; without a score is last
        ("score", True, "000001-0002", "000002-0003"),  # 8.9 is most
        ("reward", False, "000004-0000", "000002-0003"),
        ("kl", False, "000004-0001", "validation:000004-0000"),  # 4.0 is most; held out has none
        ("kl", True, "000004-0002", "validation:000004-0000"),
    ],
)
async def test_an_order_puts_what_is_unknown_last(
    root: Path, order: Order, turned: bool, first: str, last: str
) -> None:
    keys = await found(await ready(sampled_run(root)), order=order, turned=turned)
    assert (keys[0], keys[-1], len(keys)) == (first, last, 14)


async def test_one_prompt_through_time_whatever_the_filter(root: Path) -> None:
    keys = await found(await ready(sampled_run(root)), "score>8.8", prompt_id="p1", flagged=True)
    assert keys == [f"00000{step}-0001" for step in (1, 2, 3, 4)]


async def test_new_lines_and_steps_are_taken_up_and_a_rollback_takes_them_away(root: Path) -> None:
    run = empty_run(root)
    desk = await ready(run)
    assert (await desk.refresh()).total == 0
    put(run.rollouts(1), rollout(1, 0))
    first = await desk.refresh()
    assert (first.total, await found(desk, "waiting")) == (1, ["000001-0000"])
    judged(run.rollouts(1), rollout(1, 0), verdict(3))
    judged(run.rollouts(2), rollout(2, 0), verdict(4))
    second = await desk.refresh()
    assert second.version != first.version
    assert await found(desk, "score<5") == ["000002-0000", "000001-0000"]
    assert await found(desk, "waiting") == []
    assert (await desk.refresh()).version == second.version, "no news, nothing to draw"
    (row, *_) = (await desk.listing(Query())).rows
    supersede_after(run, 1)
    assert (
        "a rollback set it aside" in (await desk.detail(row)).problem
        or "cannot be read" in (await desk.detail(row)).problem
    )
    assert (await desk.refresh()).total == 1
    assert await found(desk) == ["000001-0000"]


async def test_it_reads_a_little_at_a_time_the_newest_first(root: Path) -> None:
    run = empty_run(root)
    for step in range(1, 41):
        judged(run.rollouts(step), rollout(step, 0), verdict(5))
    desk = SamplesDesk(budget_s=0.0)
    desk.attach(run)
    news = await desk.refresh()
    assert (news.total, news.left) == (1, 39)
    assert await found(desk) == ["000040-0000"], "the newest first"


@pytest.mark.parametrize("how", ["folder", "damage"])
async def test_an_unreadable_step_is_one_row_with_the_reason(root: Path, how: str) -> None:
    run = sampled_run(root, 3)
    path = run.rollouts(2)
    if how == "folder":
        path.unlink()
        path.mkdir()
        expected = "cannot be read (Is a directory): step_000002.jsonl"
    else:
        data = path.read_bytes()
        path.write_bytes(data[:50] + b"X" + data[51:])
        expected = "1 damaged line was passed over: step_000002.jsonl"
    desk = await ready(run)
    listing = await desk.listing(Query())
    assert [row.problem for row in listing.rows if row.problem] == [expected]
    assert await found(desk, "step=3") == ["000003-0000", "000003-0001", "000003-0002"]
    assert await found(desk, "score>0 step=1") == ["000001-0000", "000001-0001", "000001-0002"]
    row = next(row for row in listing.rows if row.problem)
    assert (await desk.detail(row)).problem == expected
    by_score = (await desk.listing(Query(order="score"))).rows
    scored = [row.score is not None for row in by_score]
    assert scored == sorted(scored, reverse=True)


async def test_a_folder_that_cannot_be_read_says_so_and_what_was_read_stays(root: Path) -> None:
    run = sampled_run(root, 1)
    desk = await ready(run)
    folder = run.rollouts(0).parent
    folder.rename(folder.with_name("away"))
    folder.write_text("no folder")
    news = await desk.refresh()
    assert news.problem.endswith("cannot be read: Not a directory")
    assert len(await found(desk)) == 3


async def test_the_detail_has_everything_and_names_each_token(root: Path) -> None:
    run = sampled_run(root)
    put(run.rollouts(4), RefereeResult(rollout_id="000004-0000", result=verdict(5.0, "the referee's", backend="api")))
    rate(run, "000004-0000", 4, "bob", "too short")
    rate(run, "000004-0000", 9, "eve", text="of another response")
    desk = await ready(run)
    row = (await desk.listing(Query())).rows[0]
    detail = await desk.detail(row)
    assert detail.rollout is not None
    assert detail.rollout.response == "".join(piece.text for piece in detail.pieces)
    assert len(detail.pieces) == len(detail.rollout.response_tokens)
    # KL of the first token is 2 * 0.4, of the end token -0.4.
    assert (detail.pieces[0].kl, detail.pieces[-1].kl) == (pytest.approx(0.8), pytest.approx(-0.4))
    assert [(rating.by, rating.score, rating.note) for rating in detail.ratings] == [("bob", 4.0, "too short")]
    assert detail.referee is not None
    assert detail.referee.backend == "api"


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ('[model]\nid = "/no/such/model"\n', "/no/such/model has no tokenizer.json"),
        ('[model]\nid = "some-one/some-model"\n', "the tokenizer of some-one/some-model is not on this machine"),
        ("[model\n", "config.toml of the run cannot be read"),
        ("", "config.toml of the run names no model"),
        ('[model]\nid = "./odd"\n', "cannot be read"),
    ],
)
async def test_without_the_tokenizer_it_says_why_tokens_have_no_colour(root: Path, config: str, why: str) -> None:
    run = sampled_run(root, 1)
    run.config.write_text(config)
    Path("odd").mkdir()
    Path("odd/tokenizer.json").write_text("{}")
    desk = await ready(run)
    detail = await desk.detail((await desk.listing(Query())).rows[0])
    assert detail.pieces == ()
    assert why in detail.no_pieces


async def test_another_tokenizer_is_noticed(root: Path) -> None:
    run = empty_run(root)
    one = rollout(1, 0)
    odd = Rollout(**{name: getattr(one, name) for name in one.__struct_fields__} | {"response": "something else"})
    judged(run.rollouts(1), odd, verdict(5))
    desk = await ready(run)
    detail = await desk.detail((await desk.listing(Query())).rows[0])
    assert detail.pieces == ()
    assert "reads these tokens differently" in detail.no_pieces


def test_tokens_that_make_a_character_together_stay_together() -> None:
    parts = {1: b"a", 2: "木".encode()[:1], 3: "木".encode()[1:], 4: b" b", 5: b"\xff"}

    def decode(ids: object) -> str:
        return b"".join(parts[token] for token in ids).decode("utf-8", "replace")  # type: ignore[attr-defined]

    assert pieces((1, 2, 3, 4), decode) == [(1, "a"), (2, "木"), (1, " b")]
    assert pieces((), decode) == []
    broken = pieces((1, 5, 4), decode)
    assert "".join(text for _, text in broken) == decode((1, 5, 4))
    assert sum(count for count, _ in broken) == 3


async def test_what_a_person_gives_counts_for_that_text_only(root: Path) -> None:
    run = sampled_run(root, 1)
    desk = await ready(run)
    row = (await desk.listing(Query())).rows[0]
    await desk.rate(row, 7, "good")
    assert (await desk.refresh()).rated == 1
    mine = desk.mine(row)
    assert mine is not None
    assert (mine.score, mine.note) == (7.0, "good")
    run.rollouts(1).unlink()
    judged(run.rollouts(1), rollout(1, 0, "another response"), verdict(5))
    await desk.refresh()
    again = (await desk.listing(Query())).rows[0]
    assert again.key == row.key
    assert desk.mine(again) is None
    await desk.rate(again, None)


async def test_agreement_comes_from_what_both_scored(root: Path) -> None:
    desk = await ready(sampled_run(root))
    assert await desk.agreement() is None
    for row in (await desk.listing(Query())).rows:
        await desk.rate(row, row.score if row.score is not None else 5)
    await desk.refresh()
    figure = await desk.agreement()
    assert figure is not None
    assert figure.value == pytest.approx(1.0)


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
async def test_what_is_filtered_is_exported(root: Path, ending: str) -> None:
    run = sampled_run(root)
    rate(run, "000002-0001", 3, "=cmd")
    desk = await ready(run)
    rows = (await desk.listing(Query(filter=parse("flagged step<3 or validation")))).rows
    path = root / f"out.{ending}"
    assert await desk.export(rows, path) == 3
    if ending == "jsonl":
        read = [json.loads(line) for line in path.read_text().splitlines()]
        assert read[1]["ratings"] == {"=cmd": 3.0}
        assert read[0]["messages"][0]["content"] == PROMPTS[1]
    else:
        with path.open(newline="") as file:
            read = list(csv.DictReader(file))
        assert json.loads(read[1]["ratings"]) == {"=cmd": 3.0}
    assert [(row["id"], row["file"]) for row in read] == [
        ("000001-0001", "step_000001.jsonl"),
        ("000002-0001", "step_000002.jsonl"),
        ("000004-0000", "validation_000004.jsonl"),
    ]
    with pytest.raises(OutputError, match=r"exists already; give another name$"):
        await desk.export(rows, path)
    with pytest.raises(OutputError, match="cannot be written"):
        await desk.export(rows, root / "no" / "folder.jsonl")


async def test_why_there_is_nothing_yet(root: Path) -> None:
    run = empty_run(root)
    desk = await ready(run)
    assert await desk.waiting() == "the run crashed at step 0"
    lock = RunLock(run)
    lock.acquire()
    assert await desk.waiting() == "step 1 is at 0/64"
    lock.release()
    desk.attach(None)
    assert await desk.waiting() == ""
    assert (await desk.refresh()).total == 0
    assert (await desk.listing(Query())).rows == ()


async def test_hostile_text_passes_through_every_part(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nasty = "[/] \x1b[31m \x00 \u202e \U000e0041 e\u0301 " + "x" * 20_000
    run = empty_run(root)
    put(run.rollouts(1), JudgedRollout(rollout=rollout(1, 0, nasty, nasty), result=failure(nasty)))
    desk = await ready(run)
    assert len(await found(desk, "\x1b[31m")) == 1
    row = (await desk.listing(Query())).rows[0]
    assert len(row.prompt) <= 120
    assert (await desk.detail(row)).rollout is not None


def test_reading_needs_no_torch(root: Path) -> None:
    import subprocess
    import sys

    code = "import sys, rlaif_tui.screens.samples, rlaif_tui.desks.samples; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
