"""Runs to report on: one with everything in it, and one whose every text is somebody's attack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from typed import a_step, make_run

from core.compare.record import ComparedModel, DuelDone, Finished, Header, Reply, RowDone, Settings, encode, folder_of
from core.compare.votes import Vote, votes_file
from core.events import (
    Advice,
    CanariesScored,
    CanaryScore,
    CheckpointSaved,
    CommandApplied,
    Event,
    JudgeFailed,
    JudgeReplaced,
    Paused,
    RefereeScored,
    Resumed,
    RunFinished,
    RunStarted,
    StepCompleted,
    UpdateSkipped,
    ValidationCompleted,
    WorkerReady,
)
from core.mark_log import append
from core.ratings import rate
from core.rollout_log import RolloutLog
from core.run_dir import RunDir
from core.types import JudgedRollout, Message, Prompt, Rollout, RolloutMeasures, Verdict

VERSION = "0123456789ab"
STEPS = 6
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</textarea></pre></code></svg><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "&lt;script&gt; &#60;b&#62;",
    "{{ 7 * 7 }} {% include 'report.css' %}",
    "](http://evil.example) [link](http://evil.example) ![image](http://evil.example/x.png)",
    "<http://evil.example> http://evil.example www.evil.example evil@evil.example @mention #1",
    "```\n# heading\n\n- list\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\n<b>bold</b>\n~~~~",
    "````````\n<script>x</script>\n````````",
    '=HYPERLINK("http://evil.example")',
    "+1-1@SUM(1)|cmd",
    "\u202eright to left\u2066 \x1b]52;c;eA==\x07 \x00 \x9b31m \u2028 \r\n\v\f",
    "*bold* _em_ ~~gone~~ `code` $math$ \\[x\\] :smile: [^1] <!-- comment --> ]]> --- \n===\n1. one\n> quote\n    code",
    "---\nlicense: evil\n---",
)


def figures(step: int, **known: Any) -> StepCompleted:
    """A step with figures; ``known`` are others of ``StepMetrics``."""
    values = msgspec.to_builtins(a_step(step).metrics)
    values |= {"policy_loss": -0.01 * step, "value_loss": 1.0 / step, "entropy": 2.0 - 0.1 * step, "kl_seq": 0.5 * step}
    values |= {"score_mean": 4.0 + 0.5 * step, "response_length": 30.0 + step, "judge_requests": 4, "judge_cached": 1}
    done = a_step(step)
    return msgspec.structs.replace(done, metrics=msgspec.convert(values | known, type(done.metrics)))


def rollout(step: int, row: int, response: str, prompt: str = "Why is the sky blue?") -> Rollout:
    asked = Prompt(id=f"p{row}", messages=(Message("user", prompt),))
    return Rollout(
        id=f"{step:06d}-{row:04d}", step=step, row=row, prompt=asked,
        prompt_tokens=(1, 2), response_tokens=(3, 4), response=response, finish="stop",
    )  # fmt: skip


def verdict(score: float, reason: str = "fair") -> Verdict:
    return Verdict(score=score, reward=score / 5 - 1, reason=reason, backend="rubric", judge_version=VERSION)


def keep(path: Path, rollouts: list[tuple[Rollout, Verdict]]) -> None:
    log = RolloutLog(path)
    for one, said in rollouts:
        log.append(JudgedRollout(rollout=one, result=said))
        log.append(RolloutMeasures(rollout_id=one.id, reward=said.reward, kl=0.5, kl_tokens=(0.25, 0.25), used=True))
    log.close()


def full_run(root: Path, name: str = "gentle", texts: tuple[str, ...] = ("It is the air.",), word: str = "") -> RunDir:
    """A run with every kind of thing that a report tells. ``texts`` are its responses, ``word`` is in every message."""
    run = make_run(root, name, events(name, word))
    for step, score in ((0, 3.0), (STEPS, 7.0)):
        rows = [
            (rollout(step, i, f"{t} {step}", f"{t}?"), verdict(score + i % 3, f"{t} why")) for i, t in enumerate(texts)
        ]
        keep(run.validation(step), rows)
    keep(run.rollouts(1), [(rollout(1, i, text, text), verdict(5.0, text)) for i, text in enumerate(texts)])
    (run.judges / "judge.toml").write_text('name = "rules"\nbackend = "rubric"\n', encoding="utf-8")
    for i in range(min(12, len(texts))):
        rate(run, f"000001-{i:04d}", float(i % 7), by=word or "ana")
    compare(run, texts, word)
    checkpoint = run.checkpoint(STEPS)
    checkpoint.mkdir()
    identity = {"data_fingerprint": "d" * 64, "model_fingerprint": "m" * 16, "versions": {"torch": word or "2"}}
    (checkpoint / "values.json").write_text(json.dumps({"worker": identity}), encoding="utf-8")
    return run


def events(name: str, word: str = "") -> list[Event]:
    text = word or "words"
    skipped = UpdateSkipped(step=4, epoch=0, mini_batch=1, reason=f"ratio {text}")
    return [
        RunStarted(name=name, total_steps=STEPS, pid=1, host=text, model=f"base {text}", judge=f"rules {text}",
                   data=f"prompts {text}", versions={"torch": "2.13.0", text: text}),
        WorkerReady(device=f"CPU {text}", parameters=90, trainable=30, train_prompts=8, validation_prompts=4,
                    dropped_prompts=1, notes=(f"Column {text}.",)),
        ValidationCompleted(step=0, n=4, mean=3.0),
        figures(1),
        figures(2, score_mean=None, kl_seq=None),
        CommandApplied(command_id="c", name="set", step=3, detail="kl_coef = 0.1", by=text),
        figures(3),
        Advice(step=3, code="kl_high", message=f"KL is high: {text}.", what="KL is high"),
        Advice(step=4, code="kl_high", message="no longer: KL is high", what="KL is high", severity="info", ended=True),
        Paused(step=3, reason=f"asked for {text}", automatic=True),
        Resumed(step=3),
        JudgeFailed(step=4, rollout_id="x", status="refused", treatment="mask", message=text),
        skipped,
        figures(4),
        JudgeReplaced(step=5, from_version="a", to_version=VERSION, name=text, n=8, failed=0, old_mean=5.0,
                      new_mean=4.0),
        RefereeScored(step=5, n=2, failed=0, judge_mean=6.0, referee_mean=5.0, drift=1.0, referee=text),
        CanariesScored(step=5, scores=(CanaryScore(name=text, score=2.0),), seen=4, fooled=1),
        figures(5),
        figures(6),
        CheckpointSaved(step=6, path="p", size_mb=1, seconds=1),
        ValidationCompleted(step=STEPS, n=4, mean=7.0, difference=4.0, ci95=(3.0, 5.0)),
        RunFinished(outcome="completed", step=STEPS, seconds=62.0, cost_usd=1.5, weights_sha256="ab" * 32),
    ]  # fmt: skip


def compare(run: RunDir, texts: tuple[str, ...], word: str = "", models: int = 2) -> Path:
    """A comparison in which the trained model wins every duel, with one blind vote."""
    named = [
        ComparedModel(label="ABC"[i], named=f"m{i}", title=f"model {i} {word}", kind="checkpoint",
                      source=f"here {word}", step=3 * i)
        for i in range(models)
    ]  # fmt: skip
    header = Header(
        id="c1", time=1e9, models=tuple(named), settings=Settings(seed=0, temperature=1.0, max_new_tokens=8),
        data=f"held-out {word}", data_fingerprint=f"f {word}", rows=len(texts), judge=f"rules {word}",
        judge_version=f"v {word}", pair_judge=f"in pairs {word}", pair_version="v",
    )  # fmt: skip
    lines: list[Any] = [header]
    for number, text in enumerate(texts):
        replies = tuple(
            Reply(text=f"{text} {i}", tokens=5 + i, finish="stop",
                  verdict=verdict(3.0 + 2 * i + number % 2, f"because {text}"))
            for i in range(models)
        )  # fmt: skip
        lines.append(RowDone(row=number, prompt_id=f"p{number}", prompt=text, prompt_tokens=4,
                             source=f"s{number % 2} {word}", replies=replies))  # fmt: skip
        lines += [DuelDone(row=number, left=a, right=b, first="B", second="A")
                  for a in range(models) for b in range(a + 1, models)]  # fmt: skip
    lines.append(Finished(time=1e9 + 5, cost_usd=0.25, error=f"ended {word}" if word else ""))
    path = folder_of(run) / "c1.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(encode(line) + b"\n" for line in lines))
    append(votes_file(path), Vote(row=0, left=0, right=1, choice="win", by=word or "ana"), "vote")
    return path
