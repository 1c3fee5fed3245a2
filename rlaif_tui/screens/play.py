"""The playground: one prompt, or a small chat, to the base and to the trained model, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal

from core.play.protocol import SIDES, Side
from core.run_dir import RunDir

from ..desks.play import PlayDesk
from ..desks.play_state import Look, Options
from ..widgets.line import FieldLine, Sentence
from .overlay import Line
from .play_field import PromptField
from .play_rate import RateView
from .play_text import content, in_short, title
from .samples_rating import RateableFrame


class PlayScreen(RateView):
    """A line to type in over two panes."""

    CSS_PATH = "play.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "write", "Write", key_display="enter", id="play.write", tooltip="to the prompt's line"),
        Binding("i", "write", show=False, id="play.write-too"),
        Binding("ctrl+r", "send", "Send", key_display="^r", id="play.send", tooltip="ask both models"),
        Binding("ctrl+g", "seed", "Seed", key_display="^g", id="play.seed", tooltip="other random numbers, for both"),
        Binding("X", "stop", "Stop", id="play.stop", tooltip="stop the answer; what was said stays"),
        Binding("s", "score", "Score", id="play.score", tooltip="have the run's judge score both replies"),
        Binding("r", "rate", "Rate", id="play.rate",
                tooltip="give this reply 0 to 10, the judge hidden; it counts with the ratings of Samples"),
        Binding("ctrl+n", "checkpoint", "Checkpoint", key_display="^n", id="play.checkpoint",
                tooltip="which step the trained side stands at"),
        Binding("ctrl+o", "options", "Options", key_display="^o", id="play.options",
                tooltip="temperature, top p, top k, length, system prompt"),
        Binding("a", "go_on", "Continue", id="play.continue", tooltip="go on with the chat after one of the replies"),
        Binding("p", "pin", "Pin", id="play.pin", tooltip="keep the prompt pinned in Train and Samples, and back"),
        Binding("v", "history", "History", id="play.history", tooltip="earlier prompts with both replies"),
        Binding("y", "copy", "Copy", id="play.copy", tooltip="prompt and both replies to the clipboard"),
        Binding("D", "to_data", "To data", id="play.to-data", tooltip="add the prompt as a row to the run's data file"),
        Binding("N", "new_chat", "New chat", id="play.new-chat", tooltip="begin anew, without earlier turns"),
        Binding("z", "zoom", "Zoom", id="play.zoom", tooltip="this side alone, and back"),
        Binding("escape", "leave", "Back", key_display="esc", id="play.back",
                tooltip="leave the line; stop the answer; out of the zoom"),
    ]  # fmt: skip

    def __init__(self, desk: PlayDesk, *, ascii_only: bool = False) -> None:
        super().__init__(desk, ascii_only=ascii_only)
        self._begun: RunDir | None = None
        self._drawn = ""
        """Id of the exchange that the panes show."""

    def compose_body(self) -> ComposeResult:
        yield FieldLine(id="status")
        with Horizontal(id="ask"):
            yield Sentence("prompt", id="label")
            yield PromptField(id="prompt")
        with Container(id="panes"):
            for side in SIDES:
                yield RateableFrame(id=side)

    def on_mount(self) -> None:
        self.query_one(PromptField).put(self._typed)
        self.query_one("#trained").focus()
        self.draw()

    def attach(self, run: RunDir | None) -> None:
        self.end_rating()
        self.desk.attach(run)
        self._before, self.at, self.seen = (), "auto", Look()

    async def poll(self) -> None:
        if self.desk.run is not None and self._begun != self.desk.run:
            self._begun = self.desk.run
            await self._begin()
        look = await self.desk.look()
        if look is not self.seen:
            changed = look.busy != self.seen.busy or look.exchange is not self.seen.exchange
            self.seen = look
            self.draw()
            if changed:
                self.refresh_bindings()

    async def _begin(self) -> None:
        """Take up how this run samples, and what was asked of it last."""
        facts, known = await self.desk.facts(), await self.desk.history()
        self.options = Options(draw=facts.draw, system=facts.system)
        if facts.problem:
            self.tell(facts.problem, "error")
        if known:
            self.desk.show(known[-1])
            if not self.typed.strip():
                self.put_chat(known[-1])
        own, self._own = self._own, {}
        if own.get("run") == (self.desk.run.name if self.desk.run else ""):
            self._take(own)
        self.draw_status()

    def draw(self) -> None:
        if not self.is_mounted:
            return
        self.draw_status()
        what = self.seen.exchange.id if self.seen.exchange else ""
        for side in SIDES:
            frame = self.query_one(f"#{side}", RateableFrame)
            at_end = frame.scroll_offset.y >= frame.max_scroll_y - 1
            follows = self.seen.busy and (at_end or what != self._drawn)
            blind = self.rated is not None
            frame.show(what, title(self.seen, side, blind=blind), partial(content, self.seen, side, blind=blind))
            if follows:  # the new lines have their height only after the next layout
                frame.call_after_refresh(frame.scroll_end, animate=False)
        self._drawn = what
        self.say_size()

    def in_short(self) -> str:
        return in_short(self.seen)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if not self.is_mounted:
            return super().check_action(action, parameters)
        if self.rated is not None and action in _OWN:
            return False
        there = self.seen.exchange is not None
        match action:
            case "stop":
                return self.seen.busy
            case "score" | "go_on":
                return there and not self.seen.busy
            case "rate":
                return self.seen.exchange is not None and self.seen.exchange.done
            case "copy":
                return there
            case "leave":
                return self.query_one(PromptField).has_focus or self.seen.busy or self._zoomed is not None
        return True

    def on_prompt_field_sent(self) -> None:
        self.action_send()

    def action_send(self) -> None:
        self.do(self._send)

    async def _send(self) -> None:
        await self.desk.send(self.messages(), self.options, self.at)
        self.query_one("#trained").focus()

    def action_stop(self) -> None:
        self.do(self.desk.cancel)

    def action_leave(self) -> None:
        if self.query_one(PromptField).has_focus:
            self.query_one("#trained").focus()
        elif self.seen.busy:
            self.action_stop()
        elif self._zoomed is not None:
            self._zoom(None)

    # panes

    @property
    def _zoomed(self) -> Side | None:
        return next((side for side in SIDES if self.has_class(f"-zoomed-{side}")), None)

    def _zoom(self, wanted: Side | None) -> None:
        for side in SIDES:
            self.set_class(side == wanted, f"-zoomed-{side}")
        self.query_one(f"#{wanted or 'trained'}").focus()
        self.refresh_bindings()

    def action_zoom(self) -> None:
        focused: Side = "base" if self.query_one("#base").has_focus else "trained"
        self._zoom(focused if self._zoomed is None else None)

    def explain(self) -> Sequence[Line]:
        return _EXPLAINED


_OWN = frozenset(binding.action.partition("(")[0] for binding in PlayScreen.BINDINGS if isinstance(binding, Binding))
_EXPLAINED: tuple[Line, ...] = (
    ("base", "the model that training began from: the same weights with the adapter off, or the frozen copy"),
    ("step 400", "the trained model at that checkpoint; 'now': the live run's own weights, between two steps"),
    ("seed", "both sides draw from the same random numbers; the same seed and prompt say the same again"),
    ("KL", "how far training has moved this very reply, nats: trained minus base log-probability, summed"),
    ("judge", "what the run's judge gives, 0 to 10; its cost counts against the run's cap"),
    (
        "you",
        "what you gave this reply: r, then 0 to 9, t ten, u takes back, esc leaves; kept at the key press, and part of "
        "the agreement of judge and person once the judge has scored it",
    ),
    ("temperature", "the run's own at first; 0 takes the likeliest token each time"),
)
