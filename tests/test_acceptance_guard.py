"""The guards: a mini-batch that must not be applied leaves every byte of weights and optimisers as it was."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import bench
import pytest
import tiny
import torch

from core.errors import TrainingError
from core.events import UpdateSkipped
from core.experience import Experience
from core.policy import CriticKind
from core.trainer import Trainer

REWARDS = [0.5, -0.5, 1.0, -1.0]
ONE_ROW = {"mini_batch_size": 1, "epochs": 1, "learning_rate": 1e-4, "critic_learning_rate": 1e-4}
BAD = {
    "ratio 11": ("old_logprob_BT", lambda x: x - math.log(11)),
    "ratio 1/11": ("old_logprob_BT", lambda x: x + math.log(11)),
    "ratio inf": ("old_logprob_BT", lambda x: x - math.inf),
    "ratio nan": ("old_logprob_BT", lambda x: x * math.nan),
    "advantage nan": ("advantage_BT", lambda x: x * math.nan),
    "gradient overflows": ("advantage_BT", lambda x: 0 * x + 1e30),
    "return inf": ("return_BT", lambda x: x + math.inf),
    "old value nan": ("value_BT", lambda x: x * math.nan),
}
REASONS = {"ratio 11": "mean ratio 1", "ratio 1/11": "mean ratio 0.0", "gradient overflows": "gradient norm"}


def spoilt(made: Experience, rows: list[int], how: str) -> Experience:
    """The experience with one array of these rows made bad."""
    name, change = BAD[how]
    tensor = getattr(made, name).clone()
    tensor[rows] = change(tensor[rows])
    return dataclasses.replace(made, **{name: tensor})


def make(models: dict[str, Path], critic: CriticKind = "adapter", **ppo: object) -> tuple[Trainer, Experience]:
    policy = tiny.policy(models["mistral"], critic=critic)
    return bench.trainer(policy, bench.config(ppo=ONE_ROW | {"critic": critic} | ppo)), bench.experience(
        policy, REWARDS
    )


@pytest.mark.parametrize("how", BAD)
@pytest.mark.parametrize("critic", ["adapter", "shared"])
def test_a_bad_mini_batch_changes_no_byte_and_the_next_one_trains(
    models: dict[str, Path], critic: CriticKind, how: str
) -> None:
    trained, made = make(models, critic)
    order = [part[0] for part in bench.parts(trained, made)]
    snapshots = [bench.snapshot(trained)]
    events = []
    # Mini-batches: healthy, bad, bad, healthy. What lies between the two bad ones is the second bad one alone.
    for event in bench.updates(trained, spoilt(made, order[1:3], how)):
        events.append(event)
        snapshots.append(bench.snapshot(trained))
    snapshots.append(bench.snapshot(trained))
    stats = trained.updater.stats
    assert [type(e) for e in events] == [UpdateSkipped, UpdateSkipped]
    assert [(e.epoch, e.mini_batch, e.rollout_ids) for e in events] == [
        (0, 1, (f"r{order[1]}",)),
        (0, 2, (f"r{order[2]}",)),
    ]
    assert all(REASONS.get(how, "not finite") in e.reason for e in events)
    assert not bench.equal(snapshots[0], snapshots[1])  # the first, healthy one
    assert bench.equal(snapshots[1], snapshots[2])  # the bad one
    assert not bench.equal(snapshots[2], snapshots[3])  # the healthy one after it
    assert (stats.updates, stats.skipped, trained.updater.bad_in_a_row) == (2, 2, 0)
    assert all(t.isfinite().all() for t in snapshots[-1].values())
    trained.close()


def test_a_skip_leaves_no_gradient_behind(models: dict[str, Path]) -> None:
    trained, made = make(models)
    leaves = [*trained.policy.actor_parameters().values(), *trained.policy.critic_parameters().values()]
    order = [part[0] for part in bench.parts(trained, made)]
    for _ in bench.updates(trained, spoilt(made, order[1:], "ratio nan")):
        assert all(p.grad is None or not p.grad.any() for p in leaves)
    assert trained.updater.stats.skipped == 3
    trained.close()


def test_the_first_mini_batch_of_a_step_must_have_ratio_one(models: dict[str, Path]) -> None:
    trained, made = make(models)
    before = bench.snapshot(trained)
    with pytest.raises(TrainingError, match=r"the first mini-batch's ratio is off 1 by 10"):
        list(bench.updates(trained, spoilt(made, [0, 1, 2, 3], "ratio 11")))
    assert bench.equal(before, bench.snapshot(trained))
    trained.close()


def test_early_stop_leaves_the_mini_batch_unapplied_and_ends_the_epochs(models: dict[str, Path]) -> None:
    trained, made = make(models, target_kl=0.1, epochs=3)
    order = [part[0] for part in bench.parts(trained, made)]
    tensor = made.old_logprob_BT.clone()
    tensor[order[2]] -= 0.5  # approx_kl of that row is .5^2 / 2 = .125
    assert list(bench.updates(trained, dataclasses.replace(made, old_logprob_BT=tensor))) == []
    stats = trained.updater.stats
    assert (stats.updates, stats.skipped, stats.early_stopped) == (2, 0, True)
    trained.close()


def test_a_critic_that_went_bad_asks_for_a_rollback_and_the_weights_stay(models: dict[str, Path]) -> None:
    policy = tiny.policy(models["gpt2"])
    trained = bench.trainer(policy, bench.config(ppo={"mini_batch_size": 1}))
    with torch.no_grad():
        policy.critic_parameters()["head.linear.bias"].fill_(math.nan)
    before = bench.snapshot(trained)
    log = bench.step(trained)
    assert (log.metrics.updates, log.metrics.skipped, len(log.skips)) == (0, 8, 8)
    assert log.metrics.value_loss is None
    assert trained.demand is not None
    assert trained.demand.kind == "rollback"
    assert bench.equal(before, bench.snapshot(trained))
    trained.close()


def test_skips_of_a_features_critic_leave_it_as_it_was(models: dict[str, Path]) -> None:
    trained, made = make(models, "features", critic_epochs=1)
    bad = dataclasses.replace(made, return_BT=made.return_BT * math.nan)
    before = bench.snapshot(trained)
    events = list(bench.updates(trained, bad))
    after = bench.snapshot(trained)
    assert len(events) == 4
    assert all(e.reason.startswith("critic: ") for e in events)
    critic = [n for n in before if n.startswith(("weights.critic.", "optimizer.critic."))]
    assert critic
    assert bench.equal({n: before[n] for n in critic}, {n: after[n] for n in critic})
    assert not bench.equal(before, after)  # the actor's updates are healthy
    trained.close()
