"""Is the trained model better? Two models on the same prompts, side by side, with what the judge and the person say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType

from ..desks.compare_rows import ONLY, ORDERS, Query
from ..widgets.rows import RowList
from .compare_view import ShowingView
from .overlay import Line
from .samples_ask import AskLine


class CompareScreen(ShowingView):
    """The answer with its intervals, a list of the prompts, and both replies of the one under the cursor."""

    CSS_PATH = "compare.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "choose", "Choose A, B", id="compare.choose", tooltip="the models to compare, two to five"),
        Binding("b", "blind", "Blind vote", id="compare.blind", tooltip="say which reply is better, sides shuffled"),
        Binding("r", "rate", "Rate", id="compare.rate", tooltip="give single replies 0 to 10, judge and models hidden"),
        Binding("f", "only", "Only losses", id="compare.only", tooltip="only losses, wins, ties, inconsistent; all"),
        Binding("o", "order", "Order", id="compare.order", tooltip="by prompt, greatest gain, greatest loss"),
        Binding("d", "diff", "Diff", id="compare.diff", tooltip="mark the words that differ, or not"),
        Binding(
            "R", "run", "Run…", id="compare.run", tooltip="compare the chosen models: how many prompts, which judge"
        ),
        Binding(
            "X", "cancel", "Cancel", id="compare.cancel", tooltip="end the comparison at work; what is done counts"
        ),
        Binding("p", "pair", "Pair", id="compare.pair", tooltip="the next pair of models"),
        Binding("t", "table", "Table", id="compare.table", tooltip="all pairs, the ranking, and finer figures"),
        Binding("v", "other", "Other", id="compare.other", tooltip="another comparison of this run"),
        Binding("z", "zoom", "Zoom", show=False, id="compare.zoom", tooltip="both replies whole, and back"),
        Binding(
            "left_square_bracket", "step(-1)", "Prompt", key_display="[", id="compare.previous", tooltip="prompt before"
        ),
        Binding("right_square_bracket", "step(1)", "Prompt", key_display="]", id="compare.next", tooltip="next prompt"),
        Binding("slash", "search", "Search", key_display="/", id="compare.search", tooltip="words that must occur"),
        Binding("y", "copy", "Copy", id="compare.copy", tooltip="prompt, replies and reasons to the clipboard"),
        Binding("e", "export", "Export", id="compare.export", tooltip="the prompts in the list to a file"),
        Binding("escape", "back", "Back", key_display="esc", id="compare.back", tooltip="to the list; to all prompts"),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if not self.is_mounted or action not in _OWN:
            return super().check_action(action, parameters)
        if action == "rate" and self.round is not None and self.marking is None:
            return True
        if self.by_hand or self.query_one(AskLine).what:
            return False
        comparison = self.look.comparison
        match action:
            case "choose" | "run":
                return self.desk.run is not None
            case "cancel":
                return self.look.working
            case "pair":
                return comparison is not None and len(comparison.models) > 2
            case "other":
                return self.look.count > 1
            case "back":
                return self.has_class("-open") or self.sought.narrowed
            case "step":
                return self.has_class("-open")
            case "table" | "only" | "order" | "search":
                return comparison is not None and bool(comparison.rows)
            case _:
                return self.item is not None

    def on_row_list_chosen(self) -> None:
        if not self.has_class("-open"):
            self.action_zoom()

    def action_order(self) -> None:
        order = ORDERS[(ORDERS.index(self.sought.order) + 1) % len(ORDERS)]
        self.ask_for(replace(self.sought, order=order), top=True)

    def action_only(self) -> None:
        self.ask_for(replace(self.sought, only=ONLY[(ONLY.index(self.sought.only) + 1) % len(ONLY)]))

    def action_diff(self) -> None:
        self.marks = not self.marks
        self._show_item()

    def action_step(self, by: int) -> None:
        self.query_one(RowList).action_move(by)

    def action_zoom(self) -> None:
        self.set_class(not self.has_class("-open"), "-open")
        self.focus_pane()
        self.refresh_bindings()

    def action_back(self) -> None:
        if self.has_class("-open"):
            self.action_zoom()
        elif self.sought.narrowed:
            self.ask_for(Query(self.sought.order))

    async def action_blind(self) -> None:
        await self.begin_round(self.items, self.item if self.has_class("-open") else None)

    def action_rate(self) -> None:
        item = self.round.item if self.round is not None else self.item
        if item is not None:
            self.begin_rating(item)

    async def round_ended(self) -> None:
        self.look = await self.desk.look(self.wish)
        self.figures = await self.desk.figures(self.look)
        self.show_look(self.look)
        self.focus_pane()

    def explain(self) -> Sequence[Line]:
        return _EXPLAINED


_OWN = frozenset(binding.action.partition("(")[0] for binding in CompareScreen.BINDINGS if isinstance(binding, Binding))
_EXPLAINED: tuple[Line, ...] = (
    (
        "B wins",
        "the win rate: share of prompts on which B is preferred, ties as half, with its 95 % interval over prompts",
    ),
    ("win, loss", "the judge preferred this reply in both orders; whatever held in one order only is a tie"),
    ("flips", "the two orders disagree: an inconsistent pair, a tie"),
    ("too few to tell", "the interval holds 50 %: B may be better or worse"),
    ("length-controlled", "the win rate to expect if both replies were equally long"),
    ("shown first wins", "50 % without position bias; a judge that always says A shows here, not as a win"),
    ("score A→B", "mean judge score of each, 0 to 10, and in brackets the interval of their paired difference"),
    ("[-words-]", "only in the upper or left reply; {+words+} only in the other one"),
    ("blind vote", "← → the better reply, = neither, s skip, u undo, esc ends; each vote is kept at the key press"),
    (
        "rate",
        "r, then 0 to 9, t ten, u takes back, esc ends: the reply of the pane in use, else both in turn, also amid a "
        "blind vote; those of this run's own policy and judge count with the ratings of Samples",
    ),
    (
        "you",
        "your blind votes; agreement is the share of them that the judge shares, kappa what chance does not explain",
    ),
)
