"""Responses compared with the others to the same prompt: RLOO and GRPO in place of a critic."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import bench
import pytest
import tiny
import torch

from core import ppo
from core.config import RunConfig
from core.config_file import from_dict
from core.errors import ConfigError
from core.events import StepCompleted

NO = float("nan")


def advantages(kind: Any, size: int, scores: list[float], lengths: list[int]) -> ppo.GroupAdvantages:
    mask_BT = torch.arange(max(lengths)).unsqueeze(0) < torch.tensor(lengths).unsqueeze(1)
    return ppo.group_advantages(torch.tensor(scores, dtype=torch.float64), mask_BT, ppo.Group(kind, size))


def test_rloo_is_the_score_less_the_mean_of_the_others() -> None:
    found = advantages("rloo", 3, [0.5, -0.25, 0.1, 1.0, 0.0, -1.0], [2, 1, 3, 3, 3, 1])
    for group, scores in ((0, [0.5, -0.25, 0.1]), (3, [1.0, 0.0, -1.0])):
        for row, score in enumerate(scores):
            others = [s for i, s in enumerate(scores) if i != row]
            assert found.advantage_BT[group + row, 0].item() == pytest.approx(score - statistics.fmean(others))
    assert found.advantage_BT[1].tolist()[1:] == [0.0, 0.0]
    assert found.counts == ppo.GroupCounts(masked=0, flat=0)


def test_grpo_is_the_deviation_in_units_of_the_spread() -> None:
    scores = [0.5, -0.25, 0.1, 0.4]
    found = advantages("grpo", 4, scores, [1, 2, 2, 1])
    mean, spread = statistics.fmean(scores), statistics.stdev(scores)
    expected = [(score - mean) / (spread + 1e-4) for score in scores]
    assert found.advantage_BT[:, 0].tolist() == pytest.approx(expected)
    assert found.advantage_BT[1].tolist() == pytest.approx([expected[1]] * 2)


@pytest.mark.parametrize("kind", ["rloo", "grpo"])
def test_rows_without_a_reward_are_no_part_of_their_group(kind: str) -> None:
    whole = advantages(kind, 2, [1.0, 0.0], [2, 2])
    found = advantages(kind, 3, [1.0, NO, 0.0, NO, 0.3, NO, 0.2, 0.2, 0.2], [2, 0, 2, 0, 2, 0, 1, 1, 1])
    assert found.advantage_BT[[0, 2]].tolist() == whole.advantage_BT.tolist()
    assert not found.mask_BT[3:6].any(), "one response alone cannot be compared"
    assert not found.advantage_BT[3:].any()
    assert found.mask_BT[6:, 0].all(), "equal responses count, and teach nothing"
    assert found.counts == ppo.GroupCounts(masked=1, flat=1)
    assert bool(found.advantage_BT.isfinite().all())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save("mistral", tmp_path_factory.mktemp("model"))


def settings(kind: str, **ppo_keys: Any) -> RunConfig:
    keys = {"advantage": kind, "critic": "none", **ppo_keys}
    return bench.config(rollout={"batch_size": 8, "group_size": 4, "max_new_tokens": 6}, ppo=keys)


@pytest.mark.parametrize("kind", ["rloo", "grpo"])
def test_a_step_samples_each_prompt_several_times_and_repeats(kind: str, folder: Path) -> None:
    hashes = []
    for _ in range(2):
        made = bench.trainer(tiny.policy(folder, critic="none"), settings(kind, epochs=1, mini_batch_size=8))
        log = bench.step(made)
        hashes.append(made.policy.weights_sha256())
        prompts = [rollout.prompt.id for rollout in log.rollouts]
        assert prompts == [prompts[0]] * 4 + [prompts[4]] * 4
        assert prompts[0] != prompts[4]
        assert len({rollout.response for rollout in log.rollouts}) > 4
        assert (log.metrics.groups_masked, log.metrics.updates) == (0, 1)
        assert math.isfinite(log.metrics.policy_loss or math.nan)
        assert log.metrics.value_loss is None
        assert [made.state().values[name] for name in ("epoch", "cursor")] == [0, 2]
    assert hashes[0] == hashes[1]


def test_a_group_with_one_verdict_is_left_out_and_said_so(folder: Path) -> None:
    prompts = tiny.prompts(2)
    judge = Fussy({prompts[0].text})
    made = bench.trainer(tiny.policy(folder, critic="none"), settings("rloo"), judge=judge, train=prompts)
    made.config = made.config.model_copy(
        update={"judge": made.config.judge.model_copy(update={"max_failed_fraction": 0.9})}
    )
    log = bench.step(made)
    assert (log.metrics.groups_masked, log.metrics.rows, log.metrics.failed) == (1, 4, 3)
    used = {measure.rollout_id: measure.used for measure in log.measures}
    for rollout in log.rollouts:
        assert used[rollout.id] == (rollout.prompt.text not in judge.broken)
    assert isinstance(log.outputs[-1], StepCompleted)


class Fussy(bench.WordJudge):
    """Scores the first response to each broken task and fails on the others."""

    def _one(self, request: Any) -> Any:
        if request.task in self.broken and self.asked[request.task] == 0:
            self.asked[request.task] += 1
            return bench.WordJudge()._one(request)
        return super()._one(request)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rollout": {"batch_size": 18, "group_size": 4}}, "not a multiple of"),
        ({"ppo": {"advantage": "rloo", "critic": "none", "critic_warmup_steps": 0}}, "needs rollout.group_size of 2"),
        ({"rollout": {"group_size": 4}, "ppo": {"advantage": "grpo"}}, "ppo.critic = 'none'"),
    ],
)
def test_settings_that_do_not_go_together(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        from_dict(changes, source="run.toml")
