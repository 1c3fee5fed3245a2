"""Every response of a run: what does the model write, and what was paid for?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from core.errors import RlaifError
from core.run_dir import RunDir

from ..background import begin
from ..desks.checks import NO_CHECKS
from ..desks.samples import SamplesDesk
from ..desks.samples_filter import STATES, Filter
from ..desks.samples_rows import Row
from ..desks.samples_store import ORDERS, Listing, News
from ..widgets.line import FieldLine, Sentence
from ..widgets.response import ResponseFrame
from ..widgets.rows import Cell, RowList
from .overlay import Line
from .samples_ask import AskLine
from .samples_asking import FILTER_HINT, AskingView
from .samples_list import cells, columns, empty_text, status_fields
from .samples_rating import RatingFrame
from .samples_text import detail_content, detail_title

if TYPE_CHECKING:
    from core.judge.workbench.resampling import Figure


class SamplesScreen(AskingView):
    """A list of every response, one of them whole, and a mode for rating them by hand."""

    CSS_PATH = "samples.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "rate", "Rate", id="samples.rate", tooltip="score replies one by one, the judge hidden"),
        Binding("d", "not_now", "Not now", id="samples.not-now", tooltip="do not ask for ratings again for a while"),
        Binding("slash", "filter", "Filter", key_display="/", id="samples.filter", tooltip=FILTER_HINT),
        Binding("o", "order", "Order", id="samples.order", tooltip="by step, score, reward, length, KL"),
        Binding("f", "flagged", "Flagged", id="samples.flagged", tooltip="only what the judge marked, and back"),
        Binding("i", "prompt", "Same prompt", id="samples.prompt", tooltip="this prompt through time, and back"),
        Binding(
            "p",
            "pin",
            "Pin",
            id="samples.pin",
            tooltip="follow this prompt, in 5 Train too; the filter 'pinned' shows all such",
        ),
        Binding("z", "zoom", "Zoom", id="samples.zoom", tooltip="the whole reply, and back"),
        Binding(
            "left_square_bracket", "step(-1)", "Reply", key_display="[", id="samples.previous", tooltip="reply before"
        ),
        Binding("right_square_bracket", "step(1)", "Reply", key_display="]", id="samples.next", tooltip="next reply"),
        Binding("O", "turn", "Turn", id="samples.turn", tooltip="the same order the other way round"),
        Binding("y", "copy", "Copy", id="samples.copy", tooltip="prompt, reply and reason to the clipboard"),
        Binding("e", "export", "Export", id="samples.export", tooltip="the replies in the list to a file"),
        Binding("escape", "back", "Back", key_display="esc", id="samples.back", tooltip="to the list; to all replies"),
    ]

    def __init__(self, desk: SamplesDesk, *, ascii_only: bool = False) -> None:
        super().__init__(desk)
        self._ascii = ascii_only
        self._news = News()
        self._agreement: Figure | None = None
        self._agreed_for: tuple[int, bool] = (0, False)
        self._waiting = ""
        self._columns = columns(self.wish.order)
        self._touched = False
        self._loads = 0

    def compose_body(self) -> ComposeResult:
        yield FieldLine(id="status")
        yield AskLine(id="ask")
        with Horizontal(id="panes"):
            yield RowList(self._columns, id="rows", ascii_only=self._ascii)
            yield ResponseFrame(id="detail")
        yield Sentence(id="empty")
        yield RatingFrame(id="rating")

    def on_mount(self) -> None:
        self.query_one(RowList).focus()
        self._show_listing(self.listing)

    def attach(self, run: RunDir | None) -> None:
        self.desk.attach(run)
        self._news, self.detail, self._agreement, self._touched = News(), None, None, False
        self._agreed_for, self._waiting, self.round = (0, False), "", None
        self.checks = NO_CHECKS
        self.wish = replace(self.wish, prompt_id="")
        self._loads += 1  # what is still being listed is of the run before
        if self.is_mounted:
            self.remove_class("-rating", "-open")
            self._show_listing(Listing(query=self.wish))

    async def poll(self) -> None:
        run = self.desk.run
        news = await self.desk.refresh()
        if run is not self.desk.run:
            return
        old, self._news = self._news, news
        waiting = "" if news.total or news.left else await self.desk.waiting()
        if (news, waiting) != (old, self._waiting):
            self._waiting = waiting
            await self.load()
        due = news.ratings_version, not news.left
        if news.rated and due != self._agreed_for and self.round is None:
            self._agreed_for = due
            self.do(self._agree, "agreement")
        if run is not None:
            begin(self, self.check)

    def checked(self) -> None:
        self._show_status()

    async def _agree(self) -> None:
        self._agreement = await self.desk.agreement()
        self._show_status()

    async def load(self) -> None:
        """List anew; only the newest wish is drawn."""
        self._loads += 1
        mine = self._loads
        listing = await self.desk.listing(self.wish)
        if mine == self._loads and self.is_mounted:
            self._show_listing(listing)

    def _show_listing(self, listing: Listing) -> None:
        key = self.wanted_key or (self.row.key if self.row else "")
        if self.to_top or (self._news.left and not self._touched and not self.wanted_key):
            key = ""  # on the first row also until all is read or the cursor was moved
        self.to_top = False
        self.listing = listing
        at = next((at for at, row in enumerate(listing.rows) if row.key == key), None) if key else None
        if at is not None:
            self.wanted_key = ""
        rows = self.query_one(RowList)
        if (wanted := columns(listing.query.order)) != self._columns:
            self._columns = wanted
            rows.set_columns(wanted)
        rows.show(len(listing.rows), self._cells)
        rows.move_to(at or 0)
        self.set_class(not listing.rows, "-empty")
        empty = empty_text(self._news, listing, self._waiting, attached=self.desk.run is not None)
        self.query_one("#empty", Sentence).say("" if listing.rows else empty)
        self._show_status()
        self._show_row()
        self.say_size()

    def _cells(self, index: int) -> Sequence[Cell]:
        row = self.listing.rows[index]
        return cells(row, self.desk.mine(row), self.listing.query.order, pinned=self.desk.pinned(row))

    def _show_status(self) -> None:
        if self.round is None:
            self.query_one("#status", FieldLine).show(
                status_fields(self._news, self.listing, self._agreement, self.checks)
            )

    def on_row_list_highlighted(self, message: RowList.Highlighted) -> None:
        self._touched = self._touched or message.index > 0
        self._show_row()

    def on_row_list_chosen(self) -> None:
        if not self.has_class("-open"):
            self.action_zoom()

    def _show_row(self) -> None:
        self.refresh_bindings()
        if self.row is not None:
            self.do(partial(self._read, self.row), "detail")

    async def _read(self, row: Row) -> None:
        detail = await self.desk.detail(row)
        if self.row is not row:
            return
        self.detail = detail
        layout = partial(detail_content, detail, ascii_only=self._ascii)
        self.query_one("#detail", ResponseFrame).show(row.key, detail_title(detail), layout)

    def in_short(self) -> str:
        return f"{self._news.total:,} replies" if self._news.total else ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if not self.is_mounted or action not in _OWN:
            return super().check_action(action, parameters)
        if self.round is not None or self.query_one(AskLine).what:
            return False
        if action == "not_now":
            return self.checks.asked is not None
        if action == "back":
            return self.has_class("-open") or self.wish.narrowed
        if action == "step":
            return self.has_class("-open")
        return action in ("filter", "order", "turn", "flagged") or self.row is not None

    def action_order(self) -> None:
        order = ORDERS[(ORDERS.index(self.wish.order) + 1) % len(ORDERS)]
        self.ask_for(replace(self.wish, order=order, turned=False, prompt_id=""), top=True)

    def action_turn(self) -> None:
        self.ask_for(replace(self.wish, turned=not self.wish.turned, prompt_id=""), top=True)

    def action_flagged(self) -> None:
        self.ask_for(replace(self.wish, flagged=not self.wish.flagged))

    def action_prompt(self) -> None:
        if self.row is not None:
            same = "" if self.wish.prompt_id else self.row.prompt_id
            self.ask_for(replace(self.wish, prompt_id=same))

    def action_pin(self) -> None:
        if self.row is not None and self.row.prompt_id:
            self.do(partial(self._pin, self.row), "pin")

    async def _pin(self, row: Row) -> None:
        try:
            await self.desk.toggle_pin(row)
        except RlaifError as error:
            self.tell(str(error), "error")
        await self.poll()

    def action_step(self, by: int) -> None:
        self.query_one(RowList).action_move(by)

    def action_zoom(self) -> None:
        opened = not self.has_class("-open")
        self._touched = True
        self.set_class(opened, "-open")
        self.focus_pane()
        self.refresh_bindings()

    def action_back(self) -> None:
        query = self.wish
        if self.has_class("-open"):
            self.action_zoom()
        elif query.prompt_id:
            self.ask_for(replace(query, prompt_id=""))
        elif query.narrowed:
            self.ask_for(replace(query, flagged=False, filter=Filter()))

    async def action_rate(self) -> None:
        if self.wish.narrowed or self.has_class("-open") or not await self.begin_fresh_round():
            await self.begin_round(self.listing.rows, self.row if self.has_class("-open") else None)

    async def round_ended(self) -> None:
        self.focus_pane()
        self.refresh_bindings()
        self._show_status()
        await self.poll()

    def explain(self) -> Sequence[Line]:
        return _EXPLAINED


_OWN = frozenset(binding.action.partition("(")[0] for binding in SamplesScreen.BINDINGS if isinstance(binding, Binding))
_EXPLAINED: tuple[Line, ...] = (
    ("score", "what the judge gave, 0 to 10; — where it gave none"),
    ("you", "what you gave; r scores replies one by one, in an order that tells nothing, the judge hidden"),
    ("agreement", "rank correlation ρ of your scores and the judge's, with its 95 % interval over prompts"),
    (
        "fresh replies",
        "every so many steps a few blind ratings are wanted, to see whether the judge still agrees with you",
    ),
    ("KL", "how far the model has moved on this reply, nats; orange tokens are likelier than at the start, blue rarer"),
    ("v12", "a reply to a held-out prompt, of the validation at step 12"),
    *((name, f"in the filter: {meaning}") for name, meaning in STATES.items()),
)
