"""The part of the playground that knows what will be sent: the chat, how it is sampled, and by which weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from core.play.protocol import Side
from core.types import Message

from ..desks.play import PlayDesk
from ..desks.play_state import At, Exchange, Options
from ..widgets.line import FieldLine, Sentence
from ..widgets.rows import Column
from .dialogs import AskChoice, Choice
from .judge_ask import PickScreen
from .play_field import PromptField
from .play_keep import KeepView
from .play_options import OptionsDialog
from .play_text import status_fields

SEEDS = 2**31


class AskView(KeepView):
    """Has a line to type in and a line that says how it would be answered."""

    def __init__(self, desk: PlayDesk, *, ascii_only: bool = False) -> None:
        super().__init__(desk, ascii_only=ascii_only)
        self.options = Options()
        self.at: At = "auto"
        self._before: tuple[Message, ...] = ()
        """Earlier turns of the chat, without the system prompt."""
        self._typed = ""
        """Text of the line while there is none."""
        self._own: dict[str, Any] = {}
        """What was remembered and not yet taken up."""

    @property
    def typed(self) -> str:
        """What stands in the line."""
        return self.query_one(PromptField).text if self.is_mounted else self._typed

    def put(self, text: str) -> None:
        """This text in the line."""
        self._typed = text
        if self.is_mounted:
            self.query_one(PromptField).put(text)

    def draw_status(self) -> None:
        """Say how the next prompt would be answered."""
        if self.is_mounted:
            self.query_one("#status", FieldLine).show(status_fields(self.seen, self.options, self.at))
            turn = 1 + sum(m.role == "user" for m in self._before)
            self.query_one("#label", Sentence).say(f"turn {turn}" if turn > 1 else "prompt")

    def action_write(self) -> None:
        self.query_one(PromptField).focus()

    def messages(self) -> tuple[Message, ...]:
        system = (Message("system", self.options.system),) if self.options.system.strip() else ()
        typed = (Message("user", self.typed),) if self.typed.strip() else ()
        return (*system, *self._before, *typed)

    def action_seed(self) -> None:
        draw = msgspec.structs.replace(self.options.draw, seed=(self.options.draw.seed + 1) % SEEDS)
        self.options = replace(self.options, draw=draw)
        self.draw_status()

    def action_options(self) -> None:
        def answered(options: Options | None) -> None:
            if options is not None:
                self.options = options
                self.draw_status()

        self.app.push_screen(OptionsDialog(self.options), answered)

    def action_checkpoint(self) -> None:
        found: list[tuple[At, str]] = []
        if self.seen.live:
            found.append(("auto", f"as it is now, step {self.seen.now}: the worker answers between steps"))
            found += [("newest", "the newest, in a process beside the run")] if self.seen.steps else []
        else:
            found += [("auto", f"the newest, step {self.seen.steps[-1]}")] if self.seen.steps else []
        found += [(step, f"step {step}") for step in reversed(self.seen.steps)]
        if not found:
            self.tell("This run has no checkpoint yet.")
            return

        def picked(index: int | None) -> None:
            if index is not None and index >= 0:
                self.at = found[index][0]
                self.draw_status()

        rows = [[words] for _, words in found]
        words = "Where the trained side stands from the next send on."
        self.app.push_screen(
            PickScreen("checkpoint", words, (Column("trained side"),), rows, ascii_only=self._ascii), picked
        )

    # the chat

    def action_go_on(self) -> None:
        exchange = self.seen.exchange
        if exchange is None or not exchange.done:
            return

        def answered(side: str | None) -> None:
            if side is not None:
                self._continue(exchange, "base" if side == "base" else "trained")

        choices = [Choice("t", "trained", "after the trained model's reply"), Choice("b", "base", "after the base's")]
        self.app.push_screen(
            AskChoice("go on with the chat", "Which reply does the chat go on after?", choices), answered
        )

    def _continue(self, exchange: Exchange, side: Side) -> None:
        turns = tuple(m for m in exchange.messages if m.role != "system")
        self._before = (*turns, Message("assistant", exchange.reply(side).text))
        self.put("")
        self.draw_status()
        self.action_write()

    def action_new_chat(self) -> None:
        self._before = ()
        self.put("")
        self.draw_status()
        self.desk.show(None)
        self.do(self._nothing)
        self.action_write()

    async def _nothing(self) -> None:
        """Only look again."""

    def put_chat(self, exchange: Exchange) -> None:
        """Its last prompt in the line, and its earlier turns before that."""
        turns = [m for m in exchange.messages if m.role != "system"]
        self._before = tuple(turns[:-1])
        self.put(turns[-1].content if turns else "")

    def bring_back(self, exchange: Exchange) -> None:
        system = next((m.content for m in exchange.messages if m.role == "system"), "")
        self.put_chat(exchange)
        self.options = replace(self.options, draw=exchange.draw, system=system)
        self.draw_status()
        self.desk.show(exchange)
        self.do(self._nothing)

    # memory

    def memory(self) -> dict[str, Any]:
        draw = msgspec.to_builtins(self.options.draw)
        run = self.desk.run.name if self.desk.run else ""
        own = {"prompt": self.typed, "draw": draw, "system": self.options.system, "cpu": self.options.on_cpu}
        return {**own, "run": run}

    def recall(self, memory: dict[str, Any]) -> None:
        if isinstance(prompt := memory.get("prompt"), str):
            self.put(prompt)
        self._own = memory

    def _take(self, memory: dict[str, Any]) -> None:
        system = memory.get("system")
        try:
            draw = msgspec.convert(memory.get("draw"), type(self.options.draw))
        except msgspec.ValidationError:
            return
        on_cpu = memory.get("cpu") is True
        self.options = replace(
            self.options, draw=draw, system=system if isinstance(system, str) else self.options.system, on_cpu=on_cpu
        )
