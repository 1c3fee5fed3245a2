"""Whatever a data set, a model, a judge or a log holds: it is shown as text, and no widget falls over it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hostile import COUNT, hidden_in, hostile_texts
from pty_app import Terminal
from rich.cells import cell_len
from samples_runs import failure, put, rollout, verdict
from test_safety import hostile_life
from textual.app import App, ComposeResult
from textual.content import Content
from textual.widgets import Static
from tui_logs import make_run

from core.compare.record import ComparedModel, RowDone
from core.compare.record import Reply as ComparedReply
from core.events import Sample
from core.judge.workbench.items import Item
from core.judge.workbench.samples import ScoredSample
from core.ratings import Rating
from core.run_dir import RunLock
from core.types import JudgedRollout, JudgeRequest, Message, Prompt
from rlaif_tui import rescue, word_diff
from rlaif_tui.desks.compare_rows import Item as Compared
from rlaif_tui.desks.data import Seen
from rlaif_tui.desks.data_rows import Entry
from rlaif_tui.desks.judge_state import Bench, Checked, Row, SampleSet, Version
from rlaif_tui.desks.play_state import Draw, Exchange, Look, Reply
from rlaif_tui.desks.samples import Detail, Piece
from rlaif_tui.desks.samples_rows import Row as SampleRow
from rlaif_tui.desks.setup import CheckLine, Preflight
from rlaif_tui.plain import Lines
from rlaif_tui.plain import write as print_line
from rlaif_tui.run_state import RunState
from rlaif_tui.screens import compare_list, compare_text, data_words, judge_text, play_text, samples_list, samples_text
from rlaif_tui.screens import setup_words as setup_says
from rlaif_tui.screens.dialogs import AskChoice, AskText, Choice
from rlaif_tui.screens.overlay import Overlay, lay_out
from rlaif_tui.screens.prompt_card import PromptCard
from rlaif_tui.state import apply_all
from rlaif_tui.text import clip, one_line, pad, wrap
from rlaif_tui.widgets.keybar import key_line
from rlaif_tui.widgets.line import Field, FieldLine, layout
from rlaif_tui.widgets.log_view import LogView
from rlaif_tui.widgets.response import ResponseFrame
from rlaif_tui.widgets.rows import Cell, Column, RowList
from rlaif_tui.widgets.run_list import RunList, RunRow, row_text
from rlaif_tui.widgets.sample import SampleCard, Shown, share_rows, through_time, title
from rlaif_tui.widgets.tabs import Head, HeadLine, head_line

Shows = Iterator[str | Content]
Texts = Sequence[str]
"""Six texts: each stands in another field of what is shown."""
FIELDS = 6
TOGETHER = 8
"""So many texts stand in one field of what shows long texts."""
WIDTH = 57


def lines() -> Iterator[Texts]:
    texts = (*hostile_texts(), *hostile_texts()[:FIELDS])
    return (texts[at : at + FIELDS] for at in range(0, COUNT, FIELDS))


def blocks() -> Iterator[Texts]:
    texts = ["\n".join(hostile_texts()[at : at + TOGETHER]) for at in range(0, COUNT, TOGETHER)]
    return ([*texts, *texts[:FIELDS]][at : at + FIELDS] for at in range(0, len(texts), FIELDS))


def cells(*shown: Cell) -> Shows:
    """As a list draws them."""
    yield from (pad(cell.text, WIDTH) for cell in shown)


def sampled(t: Texts) -> Sample:
    return Sample(rollout_id="a", prompt=t[0], response=t[1], score=None, reason=t[2], tokens=3, finish=t[3], kl=0.1)


def sample_row(t: Texts, **more: Any) -> SampleRow:
    return SampleRow(key="a", id="a", file=t[0], step=1, prompt_id=t[1], prompt=t[2], **more)


def scored(t: Texts, score: float | None) -> ScoredSample:
    return ScoredSample(
        id="1", prompt=t[0], response=t[1], role="response", score=score, reward=None, spread=None, reason=t[2],
        status="ok" if score else t[3], latency_s=0.1, requests=1, cost_usd=0.0, cost_source="free", flags=(t[4],),
    )  # fmt: skip


def judge_row(t: Texts) -> Row:
    request = JudgeRequest(task=t[0], response=t[1], reference=t[2], system=t[3])
    return Row(item=Item(id=t[4], prompt=t[0], request=request), mine=9, old=scored(t, None), new=scored(t[::-1], 2.0))


def compared(t: Texts) -> Compared:
    left = ComparedReply(text=t[0], tokens=3, finish="length", verdict=verdict(2.0, t[1], flags=(t[2],)))
    right = ComparedReply(text=t[3], tokens=3, finish="stop", failure=failure(t[4]))
    row = RowDone(
        row=0, prompt_id=t[5], prompt=t[5], prompt_tokens=3, reference=t[4], system=t[3], source=t[2],
        replies=(left, right),
    )  # fmt: skip
    return Compared(row=row, left=left, right=right)


# What shows one line.


def plain_lines(t: Texts) -> Shows:
    for text in t:
        for shown in (clip(text, WIDTH), pad(text, WIDTH), *wrap(text, WIDTH)):
            assert cell_len(shown) <= WIDTH
            yield shown
        yield one_line(text)
    yield layout([Field(text, "bold") for text in t], Field(t[0]), WIDTH)
    yield key_line([(one_line(text), "Key") for text in t], WIDTH)
    yield head_line(Head((("1", "Runs"),), "1", t[0], one_line(t[1]), one_line(t[2])), WIDTH)
    yield row_text([*t, *t[:5]], 200)


def sample_lines(t: Texts) -> Shows:
    mine = Rating(rollout_id="a", by="b", score=3)
    yield from cells(*samples_list.cells(sample_row(t), mine, "step"))
    yield from cells(*samples_list.cells(sample_row(t, flags=tuple(t[3:])), mine, "step", pinned=True))
    yield from cells(*samples_list.cells(sample_row(t, problem=t[4]), None, "kl"))
    yield from cells(*samples_list.cells(sample_row(t, failed=t[5]), None, "kl"))


def judge_lines(t: Texts) -> Shows:
    row = judge_row(t)
    yield from cells(*judge_text.cells(row, 1))
    yield from cells(*judge_text.cells(replace(row, new=None), 1))
    yield judge_text.detail(row, WIDTH, 9)
    checked = Checked(name=t[0], model=t[1], version=t[2], backend=t[3], errors=(t[4],), warnings=(t[5],))
    base, bench = Version(text="", version="", name=t[5], origin=t[4]), Bench(cap_usd=None, set=SampleSet(title=t[3]))
    yield layout(judge_text.head_fields(checked, base, bench, unsaved=True, run_uses=t[1]), Field(""), 400)
    yield judge_text.check_words(checked)[0]
    yield judge_text.check_words(replace(checked, errors=()))[0]
    yield clip(judge_text.title(bench, t[0], t[1]), WIDTH)


def compare_lines(t: Texts) -> Shows:
    item = compared(t)
    yield from cells(*compare_list.cells(item, "A", "B"))
    yield compare_text.pane_title(ComparedModel(label="A", named="", title=t[0], kind="model", source=""), item.left)
    yield compare_text.prompt_title(item, 1, 2)


# What shows long texts.


def cards(t: Texts) -> Shows:
    shown = Shown(sampled(t), 0, 1, 1, story=((1, sampled(t[1:])), (2, sampled(t[2:]))))
    yield title(shown)
    for _, _, rows in (*share_rows(shown.sample, WIDTH, 9), *through_time(shown, WIDTH)):
        yield from rows


def responses(t: Texts) -> Shows:
    one = msgspec.structs.replace(
        rollout(1, 0), prompt=Prompt(id="p", messages=(Message("user", t[0]),)), response=t[1]
    )
    detail = Detail(
        row=sample_row(t), rollout=one, ratings=(Rating(rollout_id="a", by=t[2], score=3, note=t[3]),),
        result=verdict(5, t[4], criteria={t[5]: 3.0}, flags=(t[5],), judge_version=t[5], model_returned=t[5]),
        referee=failure(t[5]), pieces=tuple(Piece(part, 1.0) for part in re.split("(?<=[ \n])", t[1])),
    )  # fmt: skip
    yield samples_text.detail_content(detail, WIDTH)
    yield samples_text.detail_content(replace(detail, pieces=(), no_pieces=t[2]), WIDTH, blind=True, note=t[3])
    yield samples_text.detail_content(Detail(row=sample_row(t), problem=t[4]), WIDTH)
    yield samples_text.detail_title(detail)


def overlays(t: Texts) -> Shows:
    prompt = Prompt(id="p", messages=(Message("user", t[0]),), reference=t[1], chosen=t[2], rejected=t[3])
    yield lay_out(data_words.full_text(Entry(number=1, prompt=prompt), Seen(t[0], (), t[4][:40], t[5])), WIDTH)
    yield lay_out(judge_text.whole(judge_row(t), t[0][:20], t[1][:20]), WIDTH)
    checks = Preflight(texts={}, lines=(CheckLine(t[0][:20], False, 0.1, t[1], t[2]),), problem=t[3])
    yield setup_says.check_lines(checks, WIDTH, ascii_only=False)
    yield lay_out(setup_says.overlay_lines(checks), WIDTH)


def comparisons(t: Texts) -> Shows:
    item = compared(t)
    found = word_diff.compare(item.left.text, item.right.text)
    yield compare_text.reply_content(item.left, found.left, "bold", t[4], WIDTH)
    yield compare_text.reply_content(item.right, found.right, "bold", "", WIDTH)
    yield compare_text.blind_content(item.left, WIDTH)
    yield compare_text.prompt_content(item.row, t[1], WIDTH)


def conversations(t: Texts) -> Shows:
    turns = (Message("user", t[0]), Message("assistant", t[1]), Message("user", t[2]))
    reply = Reply(text=t[3], tokens=3, finish="cancelled", score=2.0, reason=t[4])
    exchange = Exchange(time=0.0, messages=turns, draw=Draw(), step=1, base=reply, judge=t[5])
    yield play_text.content(Look(exchange=exchange, problem=t[5]), "base", WIDTH)
    yield play_text.content(Look(words=t[0]), "trained", WIDTH)
    yield from (pad(cell, WIDTH) for cell in play_text.history_row(exchange, "now"))


@pytest.mark.parametrize("show", [plain_lines, sample_lines, judge_lines, compare_lines])
def test_lines(show: Callable[[Texts], Shows]) -> None:
    for texts in lines():
        for shown in show(texts):
            assert not hidden_in(str(shown)), texts


@pytest.mark.parametrize("show", [cards, responses, overlays, comparisons, conversations])
def test_long_texts(show: Callable[[Texts], Shows]) -> None:
    for texts in blocks():
        for shown in show(texts):
            assert not hidden_in(str(shown))


def test_plain_output() -> None:
    for texts in blocks():
        out = StringIO()
        for line in Lines().of(apply_all(RunState(), hostile_life("\n".join(texts)))):
            print_line(out, line)
        assert not hidden_in(out.getvalue())


class Stage(App[None]):
    """Every widget that shows texts of others, at once."""

    CSS = "RowList, RunList, LogView, SampleCard, ResponseFrame, PromptCard { height: 12; }"
    LINES = 12

    def __init__(self) -> None:
        super().__init__()
        self.animation_level = "none"

    def compose(self) -> ComposeResult:
        yield HeadLine()
        yield RowList((Column("one", 20), Column("two"), Column("three", 30)), id="rows")
        yield RunList(id="runs")
        yield LogView(id="log")
        yield FieldLine(id="fields")
        yield SampleCard(id="sample")
        yield ResponseFrame(id="response")
        yield PromptCard(id="prompt")

    def give(self, texts: Texts) -> None:
        """Show these, all of them in every widget."""
        rows = self.LINES - 2
        whole, half = "\n".join(texts[1::2]), "\n".join(texts[::2])
        self.query_one(HeadLine).show(Head((), "", texts[0], "", one_line(texts[1])))
        self.query_one(RowList).show(rows, lambda at: [Cell(text) for text in texts[at::rows]])
        self.query_one(RunList).show([RunRow(str(at), (*texts[at::rows],)) for at in range(rows)])
        self.query_one(LogView).show([(clip(texts[at], 12), one_line(texts[-at]), "error") for at in range(len(texts))])
        self.query_one(FieldLine).show([Field(text) for text in texts], Field(texts[-1]))
        self.query_one(SampleCard).show(Shown(sampled((half, whole, *texts)), 0, 1, 1))
        self.query_one(ResponseFrame).show(half, texts[0], lambda width: Content("\n".join(wrap(half, width))))
        prompt = Prompt(id="a", messages=(Message("user", whole),), reference=half)
        seen = Seen(whole, tuple(text[:20] for text in texts[:5]), texts[1], texts[2])
        self.query_one(PromptCard).show(Entry(number=1, prompt=prompt), seen, 3, texts[4])

    def would_draw(self) -> Iterator[str]:
        """What the widgets draw, and what one would see on scrolling them."""
        for widget in (self.query_one(RowList), self.query_one(RunList), self.query_one(LogView)):
            yield from (widget.render_line(y).text for y in range(widget.size.height))
        yield from (str(each.content) for each in self.query(Static))
        yield from (str(each.border_title or "") for each in self.query("*"))


def drawn(app: App[Any]) -> str:
    """What the terminal is sent for a screen."""
    strips = app.screen._compositor.render_strips()
    assert all(segment.control is None for strip in strips for segment in strip)
    assert not any(segment.style and (segment.style.link or segment.style.meta.get("@click"))
                   for strip in strips for segment in strip)  # fmt: skip
    return "\n".join(strip.text for strip in strips)


async def test_every_widget_draws_them() -> None:
    texts, at_once = hostile_texts(), 3 * (Stage.LINES - 2)
    async with Stage().run_test(size=(140, 80)) as pilot:
        app = pilot.app
        assert isinstance(app, Stage)
        for at in range(0, COUNT, at_once):
            with app.batch_update():
                app.give((texts + texts)[at : at + at_once])
                assert not hidden_in("\n".join(app.would_draw()))
            if at % (40 * at_once) == 0:
                await pilot.pause()
                assert not hidden_in(drawn(app))
        app.give([text for text in texts if "[@click" in text][:at_once])
        await pilot.pause()
        assert "[@click=app.quit]" in drawn(app), "markup is text"


async def test_dialogs_overlays_and_messages_draw_them() -> None:
    texts = hostile_texts()
    async with Stage().run_test(size=(120, 36)) as pilot:
        app = pilot.app
        for at in range(0, 400, 100):
            some = texts[at : at + 100]
            choices = [Choice("a", "a", text) for text in some[:9]]
            for dialog in (
                AskText(some[0], "\n".join(some[1:20]), ""),
                AskChoice(some[1], some[2], choices),
                Overlay(some[2], [(text[:30], text) for text in some]),
            ):
                app.push_screen(dialog)
                await pilot.pause()
                assert not hidden_in(drawn(app))
                await pilot.press("escape")
            app.notify(rescue.in_short(ValueError(some[3])), markup=False)
            await pilot.pause()
            assert not hidden_in(drawn(app))


def test_no_message_and_no_text_is_taken_for_markup() -> None:
    """A message in the corner and a text on a screen say ``markup=False``, whatever they are given."""
    wrong = []
    for path in sorted(Path(rescue.__file__).parent.rglob("*.py")):
        source = path.read_text()
        for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name in ("notify", "Static", "Label"):
                said = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
                if said.get("markup") != "False":
                    wrong.append(f"{path.name}:{call.lineno}: {ast.unparse(call)}")
    assert wrong == []


# At a real terminal.

OWN = re.compile(
    rb"\x1b(?:"
    rb"\[[0-9;:]*m"  # colours
    rb"|\[[0-9;]*[ABCDGHJKd]"  # the cursor, clearing
    rb"|\[\?(?:25|7|1000|1002|1003|1004|1006|1015|1016|1049|2004|2026|2031|2048)[hl]"  # full screen, mouse
    rb"|\[\?(?:2026|2048)\$p"  # whether it has synchronized output, and tells its size
    rb"|\[[<>=]?\d*u"  # the later protocol for keys
    rb"|\]22;[a-z]*\x07"  # the shape of the mouse's pointer
    rb")"
)


def test_a_terminal_is_sent_nothing_but_the_apps_own_sequences(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    texts = hostile_texts()
    run = make_run(
        folder, "calm", [event for at in range(0, 200, 40) for event in hostile_life("\n".join(texts[at : at + 40]))]
    )
    run.log.write_bytes("\n".join(texts[:400]).encode("utf-8", "surrogatepass") + b"\xff\xfe\x1b]52;c;aGk=\x07\n")
    run.config.write_text('[model]\nid = "demo"\n')
    for at in range(50):
        one = msgspec.structs.replace(rollout(1, at, prompt=texts[at]), response=texts[at + 50])
        put(run.rollouts(1), JudgedRollout(rollout=one, result=verdict(5, texts[at])))
    lock = RunLock(run)
    lock.acquire()
    environment = {"RLAIF_TUI_RUNS": str(folder), "XDG_STATE_HOME": str(tmp_path)}
    with Terminal("attach", "calm", environment=environment) as terminal:
        terminal.wait_for("1/40")
        terminal.send("z")
        terminal.wait_until_gone("policy loss")
        terminal.send("z")
        terminal.wait_for("policy loss")
        terminal.send("l")
        terminal.wait_for("log: calm")
        terminal.send("\x1b")  # only once this was heeded may another key follow it
        terminal.wait_until_gone("log: calm")
        terminal.send("6")
        terminal.wait_for("▸")  # a row to open
        terminal.send("\r")
        terminal.wait_for("[ ] Reply")
        terminal.wait_until_gone("▸")
        terminal.send("]")
        terminal.wait_for("prompt p1")
        terminal.send("1")
        terminal.wait_for("1 run, ")
        terminal.send("q")
        assert terminal.end() == 0
        sent = bytes(terminal.raw)
    lock.release()
    rest = OWN.sub(b"", sent)
    assert not re.findall(rb".{0,30}\x1b.{0,30}", rest)
    text = rest.decode("utf-8")  # no lone surrogate, no byte of C1
    assert not hidden_in(text.replace("\r", ""))
