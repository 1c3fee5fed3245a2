"""Both sides of a policy answer one chat in turns, from the same random numbers.

Each side is a batch of one with a cache of its own, so that its tokens are those that ``rollout.generate`` would draw;
how long a turn takes decides only when text is seen, never what it says. Only generators of its own are used and every
mode and adapter is put back, so a policy in training goes on as if nothing had been asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from ..batch import make_batch
from ..commands import Draw
from ..logprobs import HeadOptions
from ..model import head_of, trunk_of
from ..policy import Policy
from ..rollout import Decoder, Sampling, sample, uniform_rows
from ..types import Message, Prompt
from .pieces import Pieces
from .protocol import SIDES, Begun, Chunk, Done, Ending, PlayError, Said, Side

TURN_S = 0.1
"""Length of a turn: with two sides at most five messages a second from each."""


def answer(
    policy: Policy,
    messages: Sequence[Message],
    draw: Draw,
    *,
    number: int,
    step: int,
    cancelled: Callable[[], bool] = lambda: False,
    turn_s: float = TURN_S,
) -> Iterator[Said]:
    """``Begun``, then chunks of both sides in turns, and a ``Done`` for each; ``cancelled`` is asked before each turn.

    A temperature of 0 takes the likeliest token each time. The run's own ``min_new_tokens`` holds, because it is part
    of what was trained. Raises ``PlayError`` for a chat that the model cannot read.
    """
    ids = _prompt_ids(policy, messages)
    cap = min(draw.max_new_tokens, policy.positions - len(ids))
    yield Begun(number=number, step=step, prompt_tokens=len(ids))
    voices = [_Voice(policy, side, ids, cap, draw) for side in SIDES]
    while live := [voice for voice in voices if voice.finish is None]:
        for voice in live:
            if cancelled():
                voice.finish = "cancelled"
            text = voice.speak(turn_s)
            if voice.finish is None:
                yield Chunk(number=number, side=voice.side, text=text, tokens=len(voice.pieces.ids))
            else:
                yield _done(policy, ids, voice, number)


def _prompt_ids(policy: Policy, messages: Sequence[Message]) -> tuple[int, ...]:
    if not messages or messages[-1].role != "user" or not messages[-1].content.strip():
        raise PlayError("a prompt must end with something that the user says")
    try:
        ids = policy.tokenizer.encode(Prompt(id="", messages=tuple(messages)))
    except Exception as error:  # chat templates raise what they like
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:240]
        raise PlayError(f"the model's chat template refuses this chat: {text}") from error
    if len(ids) >= policy.positions:
        raise PlayError(f"the chat has {len(ids)} tokens and the model reads {policy.positions}: begin a new one")
    if not ids:
        raise PlayError("the prompt has no token that the model knows")
    return ids


def _done(policy: Policy, prompt: tuple[int, ...], voice: _Voice, number: int) -> Done:
    assert voice.finish is not None
    ids = voice.pieces.ids
    return Done(
        number=number,
        side=voice.side,
        text=voice.pieces.whole(),
        tokens=len(ids),
        finish=voice.finish,
        kl=kl_of(policy, prompt, ids) if ids and voice.side == "trained" else None,
    )


@torch.no_grad()
def kl_of(policy: Policy, prompt: tuple[int, ...], response: tuple[int, ...]) -> float:
    """Sum over the response of the actor's minus the reference's log-prob, nats, as training measures it."""
    batch = make_batch([prompt], [response], pad_id=policy.tokenizer.pad_id, device=policy.device)
    moved_BT = policy.actor_pass(batch).logprob_BT - policy.reference_pass(batch).logprob_BT
    return float(moved_BT[batch.mask_BT].double().sum())


class _Speaker:
    """One side of a policy as the sampler reads it."""

    def __init__(self, policy: Policy, side: Side, options: HeadOptions) -> None:
        self._policy, self._side = policy, side
        self._base: nn.Module | None = None
        self.model, self.tokenizer, self.device = policy.model, policy.tokenizer, policy.device
        self.options, self.min_new_tokens = options, policy.min_new_tokens

    @property
    def trunk(self) -> nn.Module:
        return self._policy.trunk if self._base is None else trunk_of(self._base)

    @property
    def head(self) -> nn.Module:
        return self._policy.head if self._base is None else head_of(self._base)

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """This side's weights in force, without gradients."""
        if self._side == "trained":
            with self._policy.sampling():
                yield
            return
        with self._policy.frozen() as self._base:
            yield


class _Voice:
    """One reply under way."""

    def __init__(self, policy: Policy, side: Side, prompt: tuple[int, ...], cap: int, draw: Draw) -> None:
        self.side = side
        self.finish: Ending | None = None
        self.pieces = Pieces(policy.tokenizer.decode)
        self._cap = cap
        self._eos = policy.tokenizer.eos_ids
        self._sampling = Sampling(top_p=draw.top_p, top_k=draw.top_k if draw.temperature else 1)
        self._speaker = _Speaker(policy, side, HeadOptions(draw.temperature or 1.0, policy.options.eos_ids))
        self._decoder = Decoder(self._speaker, [prompt], cap)
        self._noise_BC = uniform_rows([draw.seed], cap).to(policy.device)

    def speak(self, turn_s: float) -> str:
        """Draw at least one token, and more until the turn is over; returns the text that is complete by then."""
        if self.finish is not None:
            return ""
        said, end = [], time.monotonic() + turn_s
        with self._speaker.sampling():
            while self.finish is None:
                said.append(self._draw())
                if time.monotonic() >= end:
                    break
        return "".join(said)

    def _draw(self) -> str:
        column = len(self.pieces.ids)
        next_B = sample(self._decoder.logits(column), self._noise_BC[:, column], self._sampling)
        token = int(next_B[0])
        text = self.pieces.add(token)
        if token in self._eos:
            self.finish = "stop"
        elif column + 1 >= self._cap:
            self.finish = "length"
        else:
            self._decoder.advance(next_B, {0})
        return text
