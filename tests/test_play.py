"""The playground below the screen: what is streamed is what would have been sampled, and training does not notice."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from test_export import Trained, policy_logits, settings, train
from test_worker import Bench, PowerCutError, events
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from core.build import build
from core.commands import CancelGenerate, Draw, Generate, Stop
from core.config_file import to_toml
from core.demo import MODEL_DIR
from core.errors import ModelError, RlaifError, RunDirError
from core.events import CommandApplied, CommandRejected, StepCompleted
from core.journal import send
from core.play import loaded
from core.play.answers import FILES_KEPT, Answers
from core.play.duet import answer
from core.play.host import Inbox
from core.play.loaded import Loaded
from core.play.pieces import Pieces
from core.play.protocol import (
    Ask,
    Begun,
    Cancel,
    Chunk,
    Done,
    Loading,
    PlayError,
    Ready,
    Refused,
    Said,
    Told,
    answer_file,
    checkpoint_steps,
    decode_told,
    encode,
)
from core.policy import Policy
from core.rollout import Sampling, generate
from core.run_dir import RunDir, create
from core.types import Message, Prompt

CHAT = (Message("user", tiny.words([7, 9, 30])),)
DRAW = Draw(seed=5, max_new_tokens=12)
HARD_TEXTS = (
    "Grüße, 世界! 👩‍👩‍👧 te\u0301st ไทย\n\n\tend ",
    "🙂🙃" * 3,
    "a\ufffdb",
    " leading and trailing  ",
)


def bytes_only() -> Tokenizer:
    """A tokenizer of 256 tokens, one a byte, so that most characters take several."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


@pytest.mark.parametrize("text", HARD_TEXTS, ids=range(len(HARD_TEXTS)))
@pytest.mark.parametrize("tokenizer", [bytes_only(), Tokenizer.from_file(str(MODEL_DIR / "tokenizer.json"))],
                         ids=["bytes", "demo"])  # fmt: skip
def test_pieces_are_whole_characters_and_together_the_text(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text).ids
    pieces = Pieces(lambda tokens: tokenizer.decode(list(tokens)))
    parts = [pieces.add(token) for token in ids]
    whole = tokenizer.decode(ids)
    assert "".join(parts) == whole == pieces.whole()
    assert pieces.ids == tuple(ids)
    assert sum(part.count("\ufffd") for part in parts) == text.count("\ufffd")


def test_a_half_character_at_the_end_is_not_lost_from_the_whole() -> None:
    tokenizer = bytes_only()
    ids = tokenizer.encode("ok 🙂").ids[:-1]
    pieces = Pieces(lambda tokens: tokenizer.decode(list(tokens)))
    assert "".join(pieces.add(token) for token in ids) == "ok "
    assert pieces.whole() == tokenizer.decode(ids) != "ok "


def one_by_one(policy: Policy, draw: Draw, chat: tuple[Message, ...] = CHAT) -> str:
    """What ``generate`` samples for this chat."""
    ids = policy.tokenizer.encode(Prompt(id="", messages=chat))
    sampling = Sampling(top_p=draw.top_p, top_k=draw.top_k)
    [done] = generate(policy, [ids], [draw.max_new_tokens], [draw.seed], sampling)
    return policy.tokenizer.decode(done.tokens)


def done_of(said: list[Said]) -> dict[str, Done]:
    return {each.side: each for each in said if isinstance(each, Done)}


def chunks_of(said: list[Said], side: str) -> str:
    return "".join(each.text for each in said if isinstance(each, Chunk) and each.side == side)


@pytest.mark.parametrize("adapter", ["lora", "full"])
@pytest.mark.parametrize("architecture", ["gpt2", "qwen2"])
def test_both_sides_say_what_generate_samples(models: dict[str, Path], architecture: str, adapter: str) -> None:
    options: dict[str, Any] = {"adapter": adapter, "critic": "none"}
    trained = tiny.policy(models[architecture], **options)
    at_start = tiny.policy(models[architecture], stirred=False, **options)
    draw = Draw(seed=11, max_new_tokens=20, top_p=0.9, top_k=40)
    for turn_s in (0.0, 60.0):
        said = list(answer(trained, CHAT, draw, number=3, step=2, turn_s=turn_s))
        assert isinstance(said[0], Begun)
        assert said[0].step == 2
        assert {each.number for each in said} == {3}
        done = done_of(said)
        assert done["trained"].text == one_by_one(trained, draw)
        assert done["base"].text == one_by_one(at_start, draw)
        assert done["base"].text != done["trained"].text
        assert done["base"].kl is None
        chunks = [each for each in said if isinstance(each, Chunk)]
        for side in ("base", "trained"):
            assert done[side].text.startswith(chunks_of(said, side))
        if turn_s:
            assert chunks == [], "one turn was enough"
        else:
            assert [c.side for c in chunks[:4]] == ["base", "trained"] * 2, "both stream"


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_the_kl_is_that_of_the_reply_and_nothing_is_left_changed(models: dict[str, Path], adapter: str) -> None:
    policy = tiny.policy(models["mistral"], adapter=adapter, critic="none", temperature=0.7)
    policy.train()
    before = policy.weights_sha256(), torch.random.get_rng_state()
    draw = Draw(seed=5, temperature=0.7, max_new_tokens=12)
    done = done_of(list(answer(policy, CHAT, draw, number=1, step=0)))
    prompt = policy.tokenizer.encode(Prompt(id="", messages=CHAT))
    [reply] = generate(policy, [prompt], [12], [5], Sampling())
    assert done["trained"].text == policy.tokenizer.decode(reply.tokens)
    ids = torch.tensor([[*prompt, *reply.tokens]])

    def chosen(logits: torch.Tensor) -> torch.Tensor:
        spread = (logits[0, len(prompt) - 1 : -1] / 0.7).log_softmax(dim=1)
        return spread.gather(1, ids[:, len(prompt) :].T)[:, 0]

    with policy.frozen() as base:
        start = chosen(base(input_ids=ids).logits)
    with policy.sampling():
        now = chosen(policy.head(policy.trunk(input_ids=ids, use_cache=False)[0]))
    assert done["trained"].kl == pytest.approx(float((now - start).sum()), abs=1e-4)
    assert policy.weights_sha256() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])
    assert all(p.requires_grad for p in policy.actor_parameters().values())


def test_the_same_seed_says_the_same_and_zero_temperature_needs_none(models: dict[str, Path]) -> None:
    policy = tiny.policy(models["llama"], critic="none")

    def texts(**draw: Any) -> list[str]:
        said = list(answer(policy, CHAT, Draw(**{"max_new_tokens": 16} | draw), number=1, step=0))
        done = done_of(said)  # in the order in which they ended, which is the clock's
        return [done[side].text for side in ("base", "trained")]

    assert texts(seed=1) == texts(seed=1) != texts(seed=2)
    assert texts(seed=1, temperature=0.0) == texts(seed=2, temperature=0.0)
    assert texts(seed=1, temperature=0.0) == texts(seed=3, top_k=1)
    assert texts(seed=1, temperature=5.0) != texts(seed=1)


def test_an_answer_can_be_stopped_and_what_was_said_until_then_stays(models: dict[str, Path]) -> None:
    policy = tiny.policy(models["llama"], critic="none", stirred=False)
    asked = iter([False] * 4 + [True] * 20)
    said = list(answer(policy, CHAT, DRAW, number=1, step=0, cancelled=lambda: next(asked), turn_s=0.0))
    done = done_of(said)
    assert {each.finish for each in done.values()} == {"cancelled"}
    assert {each.tokens for each in done.values()} == {2}
    assert done["trained"].kl == pytest.approx(0.0, abs=1e-4)
    assert chunks_of(said, "base") == done["base"].text == one_by_one(policy, Draw(seed=5, max_new_tokens=2))


def test_a_chat_that_cannot_be_answered_is_one_sentence(models: dict[str, Path]) -> None:
    policy = tiny.policy(models["llama"], critic="none")

    def ask(*chat: Message, **draw: Any) -> list[Said]:
        return list(answer(policy, chat, Draw(**draw), number=1, step=0))

    for chat in ([], [Message("user", "  ")], [*CHAT, Message("assistant", "w7")]):
        with pytest.raises(PlayError, match="must end with something that the user says"):
            ask(*chat)
    with pytest.raises(PlayError, match=r"the chat has \d+ tokens and the model reads 64: begin a new one"):
        ask(Message("user", tiny.words([8] * 64)))
    long = ask(Message("user", tiny.words([8] * 50)), max_new_tokens=1000, top_k=1)
    assert all(done.tokens <= 64 - 50 for done in done_of(long).values()), "the reply fits what the model reads"


# a run's checkpoints


@pytest.fixture(scope="module", params=["lora", "full"])
def run_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    place = tmp_path_factory.mktemp(f"play-{request.param}")
    return train(place, tiny.save("mistral", place / "model"), adapter=request.param)


def test_every_checkpoint_is_put_on_one_base(run_of: Trained) -> None:
    stands = Loaded(run_of.run, None)
    head = stands.policy.head
    assert stands.step == 2
    for step in (1, 2, None, 1):
        stands.turn_to(step)
        assert stands.step == (step or 2)
        torch.testing.assert_close(policy_logits(stands.policy), run_of.logits[stands.step])
        assert stands.policy.head is head, "the base is loaded once"
    with pytest.raises(RunDirError, match="no checkpoint of step 7; there are: 1, 2"):
        stands.turn_to(7)
    assert stands.step == 1
    base = done_of(list(answer(stands.policy, CHAT, DRAW, number=1, step=1)))["base"].text
    stands.turn_to(2)
    assert done_of(list(answer(stands.policy, CHAT, DRAW, number=1, step=2)))["base"].text == base
    assert checkpoint_steps(run_of.run) == [1, 2]


def test_what_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    trained = train(tmp_path, tiny.save("gpt2", tmp_path / "model"))
    tiny.save("gpt2", tmp_path / "model", seed=9)
    with pytest.raises(ModelError, match="is not the one this run was trained on"):
        Loaded(trained.run, None)
    with pytest.raises(RunDirError, match="has no checkpoint yet"):
        Loaded(create(tmp_path / "runs", "empty"), None)


def test_a_model_that_does_not_fit_is_one_sentence(run_of: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise ModelError("does not fit") from torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(loaded, "load_base", full)
    with pytest.raises(PlayError, match=r"no room for the model on cpu .*CUDA out of memory.*: take the CPU, or ask"):
        Loaded(run_of.run, None)


def test_nobody_asking_and_nobody_there_are_told_apart() -> None:
    ours, theirs = os.pipe()
    gone = threading.Event()
    with os.fdopen(ours, "rb") as heard, os.fdopen(theirs, "wb") as stream:
        inbox = Inbox(heard, gone.set)
        assert inbox.next(0.01) is None
        assert not gone.is_set()
        ask = Ask(number=1, messages=CHAT, draw=DRAW)
        stream.write(encode(ask) + b"\n" + encode(Cancel(number=7)) + b"\n")
        stream.flush()
        assert inbox.next(60) == ask
        stream.close()
        assert gone.wait(60)
        assert inbox.is_cancelled(7)
        assert not inbox.is_cancelled(1)


class Child:
    """The process, spoken to as the app does."""

    def __init__(self, run: RunDir, *more: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "core.play", str(run.path), *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent, env=dict(os.environ),
        )  # fmt: skip

    def say(self, *lines: Ask | Cancel) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(encode(line) + b"\n" for line in lines))
        self.process.stdin.flush()

    def hear(self) -> Iterator[Told]:
        assert self.process.stdout is not None
        yield from map(decode_told, self.process.stdout)

    def until_done(self, number: int) -> list[Told]:
        """What it says up to the end of this ask."""
        heard: list[Told] = []
        for told in self.hear():
            heard.append(told)
            mine = [t for t in heard if isinstance(t, Done | Refused) and t.number == number]
            if len(mine) == 2 or any(isinstance(t, Refused) for t in mine):
                break
        return heard


def test_the_process_loads_answers_refuses_and_ends_with_its_standard_input(run_of: Trained) -> None:
    child = Child(run_of.run)
    with child.process:
        child.say(Ask(number=1, messages=CHAT, draw=DRAW))
        first = child.until_done(1)
        assert isinstance(first[0], Loading)
        assert first[0].memory_mb > 1
        [ready] = [told for told in first if isinstance(told, Ready)]
        assert ready.step == 2
        child.say(Ask(number=2, messages=CHAT, draw=DRAW, step=9), Ask(number=3, messages=CHAT, draw=DRAW, step=1))
        [refused] = child.until_done(2)
        assert isinstance(refused, Refused)
        assert "no checkpoint of step 9" in refused.reason
        third = child.until_done(3)
        assert isinstance(third[0], Begun)
        assert third[0].step == 1
        said = {n: [t for t in heard if isinstance(t, Done)] for n, heard in ((1, first), (3, third))}
        assert said[1][0].text == said[3][0].text, "the base is the same, whatever the checkpoint"
        child.say(Cancel(number=4), Ask(number=4, messages=CHAT, draw=DRAW))
        assert {t.finish for t in child.until_done(4) if isinstance(t, Done)} == {"cancelled"}
        assert child.process.stdin is not None
        child.process.stdin.close()
        assert child.process.wait(60) == 0


# a live worker


def live(place: Path, **changes: Any) -> tuple[RunDir, Any]:
    """A run of two steps with a real trainer, ready to begin."""
    data = place / "prompts.csv"
    data.write_text("prompt\n" + "\n".join(p.messages[0].content for p in tiny.prompts(8)) + "\n")
    config = settings(tiny.save("mistral", place / "model"), data, **changes)
    run = create(place / "runs", "r")
    run.config.write_text(to_toml(config))
    return run, build(config).trainer


def trained_sha(place: Path, *wanted: tuple[int, Generate], **changes: Any) -> tuple[RunDir, str]:
    """Hash of the weights of a whole run; each command is sent once so many steps are done."""
    place.mkdir()
    run, trainer = live(place, **changes)
    bench = Bench(run, trainer, generate=Answers(run, trainer.policy).answer)
    write = bench.recorder.write

    def watching(output: Any) -> None:
        write(output)
        for step, command in wanted:
            if isinstance(output, StepCompleted) and output.step == step:
                send(run, command)

    bench.recorder.write = watching  # type: ignore[method-assign]
    for step, command in wanted:
        if step == 0:
            send(run, command)
    with contextlib.closing(trainer):
        assert bench.train() == "completed"
        return run, trainer.weights_sha256()


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_a_live_worker_answers_and_trains_to_the_same_bits(tmp_path: Path, adapter: str) -> None:
    _, alone = trained_sha(tmp_path / "alone", adapter=adapter)
    first, second = (Generate(messages=CHAT, draw=DRAW) for _ in range(2))
    run, asked = trained_sha(tmp_path / "asked", (0, first), (1, second), adapter=adapter)
    assert asked == alone
    told = {e.command_id: e for e in events(run, CommandApplied)}
    assert [told[c.id].step for c in (first, second)] == [0, 1]  # type: ignore[union-attr]
    replies = {}
    for step, command in enumerate((first, second)):
        said = [decode_told(line) for line in answer_file(run, command.id).read_bytes().splitlines()]
        assert isinstance(said[0], Begun)
        assert said[0].step == step
        replies[step] = done_of(said)  # type: ignore[arg-type]
    assert replies[0]["base"].text == replies[0]["trained"].text, "nothing is trained before the first step"
    assert replies[0]["trained"].kl == pytest.approx(0.0, abs=1e-4)
    assert replies[1]["base"].text == replies[0]["base"].text


class Fake:
    """Answers as it is told to, for the loop around the worker."""

    def __init__(self, run: RunDir, *, error: str = "", cut: bool = False) -> None:
        self.run, self.error, self.cut = run, error, cut
        self.asked: list[tuple[int, bool]] = []

    def __call__(self, command: Generate, step: int, cancelled: Any) -> str:
        if self.cut:
            raise PowerCutError
        self.asked.append((step, cancelled()))
        if self.error:
            raise RlaifError(self.error)
        return "a prompt was answered"


def steady(run: RunDir, fake: Fake, *, resume: bool = False) -> str:
    from steady import SteadyTrainer

    return Bench(run, SteadyTrainer(), resume=resume, generate=fake).train()


def test_what_is_refused_or_cancelled_is_said_and_training_goes_on(tmp_path: Path) -> None:
    run = create(tmp_path, "one")
    ask = Generate(messages=CHAT, draw=DRAW)
    send(run, ask)
    send(run, CancelGenerate(command_id=ask.id))
    send(run, CancelGenerate(command_id="unheard-of"))
    fake = Fake(run, error="no room")
    assert steady(run, fake) == "completed"
    assert fake.asked == [(0, True)], "the cancel is seen while the answer is under way"
    reasons = [e.reason for e in events(run, CommandRejected)]  # type: ignore[union-attr]
    assert reasons == ["no room", "that prompt is not being answered"]
    assert [e.name for e in events(run, CommandApplied)] == ["cancel_generate"]  # type: ignore[union-attr]


def test_it_is_not_done_again_after_a_resume(tmp_path: Path) -> None:
    run = create(tmp_path, "one")
    ask = Generate(messages=CHAT, draw=DRAW)
    send(run, ask)
    with pytest.raises(PowerCutError):
        steady(run, Fake(run, cut=True))
    again = Fake(run)
    assert steady(run, again, resume=True) == "completed"
    assert again.asked == []
    [told] = [e for e in events(run, CommandRejected) if e.command_id == ask.id]  # type: ignore[union-attr]
    assert "before this worker started" in told.reason  # type: ignore[union-attr]


def test_a_worker_that_is_stopping_answers_no_prompt(tmp_path: Path) -> None:
    run = create(tmp_path, "one")
    send(run, Stop())
    send(run, Generate(messages=CHAT, draw=DRAW))
    fake = Fake(run)
    assert steady(run, fake) == "stopped"
    assert fake.asked == []
    assert "the worker is stopping" in [e.reason for e in events(run, CommandRejected)]  # type: ignore[union-attr]


def test_files_of_answers_are_few_and_errors_stand_in_them(tmp_path: Path, models: dict[str, Path]) -> None:
    run = create(tmp_path, "one")
    answers = Answers(run, tiny.policy(models["gpt2"], critic="none"))
    short = Draw(max_new_tokens=1)
    for number in range(FILES_KEPT + 3):
        answers.answer(Generate(id=f"c{number}", messages=CHAT, draw=short), 0, lambda: False)
    assert len(list(answer_file(run, "x").parent.iterdir())) == FILES_KEPT
    empty = Generate(messages=(), draw=short)
    with pytest.raises(PlayError, match="must end with"):
        answers.answer(empty, 0, lambda: False)
    last = decode_told(answer_file(run, empty.id).read_bytes().splitlines()[-1])
    assert isinstance(last, Refused)
    assert "must end with" in last.reason
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "_write", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory")))
        with pytest.raises(PlayError, match="not enough memory beside training"):
            answers.answer(Generate(messages=CHAT, draw=short), 0, lambda: False)
    with pytest.raises(PlayError, match="cannot be the name of a file"):
        answers.answer(Generate(id="../../x", messages=CHAT, draw=short), 0, lambda: False)
