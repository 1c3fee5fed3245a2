"""Batches of any size: a partial last one, mini-batches that do not divide, rows without verdict or of one token."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bench
import pytest
import tiny
import torch
from bench import WordJudge
from tiny import SEQUENCES

from core.build import build_prompts
from core.config import RunConfig
from core.model import load_tokenizer
from core.types import JudgedRollout, Message, Prompt, Rollout


def finite_figures(metrics: Any) -> bool:
    figures = (getattr(metrics, name) for name in metrics.__struct_fields__)
    return all(math.isfinite(x) for x in figures if isinstance(x, float))


def test_seven_prompts_at_batch_four_are_all_seen_in_two_steps(models: dict[str, Path]) -> None:
    prompts = tiny.prompts(7)
    trained = bench.trainer(tiny.policy(models["gpt2"]), bench.config(), train=prompts)
    sizes, seen = [], []
    for _ in range(4):
        log = bench.step(trained)
        sizes.append(len(log.rollouts))
        seen.append([r.prompt.id for r in log.rollouts])
        assert finite_figures(log.metrics)
    assert sizes == [4, 3, 4, 3]
    everyone = sorted(p.id for p in prompts)
    assert sorted(seen[0] + seen[1]) == everyone
    assert sorted(seen[2] + seen[3]) == everyone
    assert seen[0] + seen[1] != seen[2] + seen[3]  # each epoch in its own order
    trained.close()


@pytest.mark.parametrize(("rows", "mini", "micro"), [(7, 3, 0), (7, 3, 2), (7, 7, 4), (7, 1, 1), (5, 4, 3), (1, 1, 0)])
def test_any_mini_batch_size_sees_every_row_once_an_epoch(
    models: dict[str, Path], rows: int, mini: int, micro: int
) -> None:
    settings = bench.config(
        rollout={"batch_size": rows}, ppo={"mini_batch_size": mini, "micro_batch_size": micro, "epochs": 2}
    )
    trained = bench.trainer(tiny.policy(models["gpt2"]), settings, train=tiny.prompts(rows))
    log = bench.step(trained)
    assert (log.metrics.rows, log.metrics.updates) == (rows, 2 * math.ceil(rows / mini))
    made = bench.experience(trained.policy, [0.1] * rows, [SEQUENCES[0]] * rows)
    for epoch in (0, 1):
        cut = bench.parts(trained, made, epoch=epoch)
        assert sorted(row for part in cut for row in part) == list(range(rows))
        assert max(map(len, cut)) - min(map(len, cut)) <= 1
        assert max(map(len, cut)) <= mini
    trained.close()


def test_the_split_into_micro_batches_does_not_change_the_update(models: dict[str, Path]) -> None:
    results = []
    for micro in (4, 3, 1):
        policy = tiny.policy(models["mistral"])
        # With eps 1 a step of AdamW is as good as proportional to the gradient.
        size = {"mini_batch_size": 4, "micro_batch_size": micro, "epochs": 1, "adam_eps": 1.0, "max_grad_norm": 0.0}
        trained = bench.trainer(policy, bench.config(ppo=size))
        made = bench.experience(policy, [0.5, -0.5, 1.0, -1.0])
        list(bench.updates(trained, made))
        results.append((bench.snapshot(trained), trained.updater.stats))
        trained.close()
    for other, stats in results[1:]:
        assert stats.policy_loss == pytest.approx(results[0][1].policy_loss, abs=1e-6)
        assert stats.value_loss == pytest.approx(results[0][1].value_loss, rel=1e-6)
        assert stats.grad_norm_actor == pytest.approx(results[0][1].grad_norm_actor, rel=1e-5)
        for name, tensor in results[0][0].items():
            torch.testing.assert_close(other[name], tensor, rtol=1e-5, atol=1e-6)


def test_mini_batches_of_only_an_eos(models: dict[str, Path]) -> None:
    trained = bench.trainer(tiny.policy(models["llama"]), bench.config(ppo={"mini_batch_size": 1, "epochs": 1}))
    before = bench.snapshot(trained)
    made = bench.experience(trained.policy, [0.7, -0.2], [SEQUENCES[1], SEQUENCES[1]])
    assert list(bench.updates(trained, made)) == []
    assert trained.updater.stats.updates == 2
    after = bench.snapshot(trained)
    assert not bench.equal(before, after)
    assert all(t.isfinite().all() for t in after.values())
    trained.close()


def test_responses_of_one_token(models: dict[str, Path]) -> None:
    settings = bench.config(rollout={"max_new_tokens": 1}, ppo={"mini_batch_size": 1})
    trained = bench.trainer(tiny.policy(models["qwen2"]), settings)
    log = bench.step(trained)
    assert [len(r.response_tokens) for r in log.rollouts] == [1] * 4
    assert finite_figures(log.metrics)
    assert log.metrics.updates == 8
    trained.close()


@pytest.mark.parametrize("critic", ["adapter", "features"])
def test_a_failed_row_is_as_if_it_had_not_been_there(models: dict[str, Path], critic: Any) -> None:
    rows = [SEQUENCES[0], SEQUENCES[1], ((9, 9), (33,) * 8), SEQUENCES[2], SEQUENCES[3]]
    rewards = [0.5, -0.5, 1.0, -1.0]
    results = []
    for failed in (True, False):
        policy = tiny.policy(models["mistral"], critic=critic)
        trained = bench.trainer(policy, bench.config(ppo={"critic": critic, "epochs": 1}))
        given: list[float | None] = [*rewards[:2], None, *rewards[2:]] if failed else [*rewards]
        made = bench.experience(policy, given, rows if failed else SEQUENCES)
        list(bench.updates(trained, made))
        results.append((made, bench.snapshot(trained)))
        trained.close()
    (with_failed, weights), (without, expected) = results
    assert with_failed.rows == [0, 1, 3, 4]
    torch.testing.assert_close(with_failed.advantage_BT[[0, 1, 3, 4]], without.advantage_BT, rtol=1e-5, atol=1e-6)
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_no_row_with_a_verdict_means_no_update_and_no_nan(models: dict[str, Path]) -> None:
    prompts = tiny.prompts(4)
    settings = bench.config(judge={"max_failed_fraction": 1.0}, ppo={"kl_controller": "adaptive"})
    for critic in ("adapter", "features"):
        policy = tiny.policy(models["gpt2"], critic=critic)
        judge = WordJudge(p.text for p in prompts)
        trained = bench.trainer(policy, settings, judge=judge, train=prompts)
        before = bench.snapshot(trained)
        log = bench.step(trained)
        assert bench.equal(before, bench.snapshot(trained))
        assert (log.metrics.updates, log.metrics.rows, log.metrics.failed) == (0, 0, 4)
        assert finite_figures(log.metrics)
        assert trained.completed == 1
        assert trained.settings["kl_coef"] == 0.05
        assert [(m.used, m.reward) for m in log.measures] == [(False, None)] * 4
        trained.close()


def test_too_many_failures_pause_and_the_retry_pays_only_for_what_failed(models: dict[str, Path]) -> None:
    prompts = tiny.prompts(4)
    judge = WordJudge([prompts[2].text])
    trained = bench.trainer(tiny.policy(models["gpt2"]), bench.config(), judge=judge, train=prompts)
    before = bench.snapshot(trained)
    first = bench.step(trained)
    assert trained.demand is not None
    assert trained.demand.kind == "pause"
    assert "1 of 4 responses got no verdict" in trained.demand.reason
    assert (trained.completed, bench.equal(before, bench.snapshot(trained))) == (0, True)
    judge.broken.clear()
    second = bench.step(trained, [*first.rollouts, *first.judged])
    assert trained.demand is None
    assert trained.completed == 1
    assert not second.rollouts
    assert judge.asked == {p.text: 2 if p is prompts[2] else 1 for p in prompts}
    assert trained.cost_usd == pytest.approx(4 * 0.5 + 0.25)  # four verdicts and one failed call, each paid once
    assert second.metrics.rows == 4
    trained.close()


def test_a_prompt_at_the_length_limit_trains_and_a_longer_one_is_dropped(
    models: dict[str, Path], tmp_path: Path
) -> None:
    for architecture in ("gpt2", "mistral"):
        settings = RunConfig.model_validate(
            {
                "model": {"id": str(models[architecture]), "device": "cpu"},
                "data": {"path": str(tmp_path / "p.csv"), "validation_fraction": 0.0},
                "rollout": {"batch_size": 1, "max_new_tokens": 8},
                "ppo": {"mini_batch_size": 1, "critic_warmup_steps": 0},
            }
        )
        text = load_tokenizer(settings.model)
        empty = len(text.encode(Prompt(id="", messages=(Message(role="user", content="w7"),)))) - 1
        fits = tiny.POSITIONS - 8 - empty  # 8 positions stay for the response
        (tmp_path / "p.csv").write_text("prompt\n" + "\n".join(" ".join(["w7"] * n) for n in (fits, fits + 1)) + "\n")
        found = build_prompts(settings, text, tiny.POSITIONS)
        assert (len(found.train), found.dropped) == (1, 1)
        trained = bench.trainer(tiny.policy(models[architecture]), settings, train=found.train)
        log = bench.step(trained)
        (rollout,) = log.rollouts
        assert len(rollout.prompt_tokens) == tiny.POSITIONS - 8
        assert finite_figures(log.metrics)
        assert log.metrics.first_ratio_error == pytest.approx(0, abs=1e-5)
        trained.close()


def test_flags_and_penalty_of_rows_cut_at_their_cap(models: dict[str, Path]) -> None:
    settings = bench.config(
        rollout={"batch_size": 60, "cap_min": 2, "max_new_tokens": 4},
        ppo={"missing_eos_penalty": 0.75, "mini_batch_size": 30, "epochs": 1},
    )
    trained = bench.trainer(tiny.policy(models["gpt2"]), settings, train=tiny.prompts(60))
    log = bench.step(trained)
    cut = [r.finish == "length" for r in log.rollouts]
    assert {len(r.response_tokens) for r, c in zip(log.rollouts, cut, strict=True) if c} == {
        2,
        3,
        4,
    }  # both ends included
    for judged, measured, was_cut in zip(log.judged, log.measures, cut, strict=True):
        assert isinstance(judged, JudgedRollout)
        penalty = 0.75 if was_cut else 0.0
        assert measured.reward == pytest.approx(judged.result.reward - penalty)  # type: ignore[union-attr]
        assert (judged.rollout.response_tokens[-1] == tiny.EOS) is not was_cut
    assert log.metrics.truncated_rate == pytest.approx(sum(cut) / 60)
    assert isinstance(log.rollouts[0], Rollout)
    trained.close()
