"""Sampled is what is scored: exact, from the whole vocabulary, the same tokens whatever happens around them."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import bench
import pytest
import tiny
import torch
from scipy.stats import chisquare

from core.batch import make_batch
from core.logprobs import chosen_logprobs
from core.model import head_of, load_base, trunk_of
from core.policy import Policy
from core.rollout import Finished, Sampling, generate, sample, uniform_rows
from core.types import Message, Prompt

PROMPTS = [(7, 8, 9), (11,) * 9, (40, 41), (5, 6, 7, 8, 9, 10, 11), (90,)]


def rollouts(policy: Policy, seeds: list[int], caps: list[int], **sampling: Any) -> dict[int, Finished]:
    return {f.row: f for f in generate(policy, PROMPTS, caps, seeds, Sampling(**sampling))}


@torch.no_grad()
def one_row_without_a_cache(policy: Policy, prompt: tuple[int, ...], cap: int, seed: int) -> list[int]:
    """The same draw by the plainest way there is: the whole row through the model for each token."""
    model: Any = policy.model
    tokens: list[int] = []
    for uniform in uniform_rows([seed], cap)[0]:
        ids = torch.tensor([[*prompt, *tokens]])
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0, -1].double()
        if len(tokens) < policy.min_new_tokens:
            logits[tiny.EOS] = -torch.inf
        probabilities = (logits / policy.options.temperature).softmax(dim=0).tolist()
        sums = itertools.accumulate(probabilities)
        tokens.append(next(token for token, total in enumerate(sums) if float(uniform) < total))
        if tokens[-1] == tiny.EOS:
            break
    return tokens


@pytest.mark.parametrize(("temperature", "minimum"), [(1.0, 0), (0.7, 3)])
def test_the_sampler_draws_from_the_model_itself(folder: Path, temperature: float, minimum: int) -> None:
    policy = tiny.policy(folder, temperature=temperature, min_new_tokens=minimum)
    love_eos(policy)  # so that rows end at different times and leave the batch
    seeds, caps = [3, 14, 15, 92, 65], [12, 3, 20, 7, 16]
    found = rollouts(policy, seeds, caps)
    for row, prompt in enumerate(PROMPTS):
        expected = one_row_without_a_cache(policy, prompt, caps[row], seeds[row])
        assert list(found[row].tokens) == expected
        assert found[row].finish == ("stop" if expected[-1] == tiny.EOS else "length")
    assert len({len(f.tokens) for f in found.values()}) > 2


def love_eos(policy: Policy) -> None:
    """Raise the logit of EOS to a probability of about a fifth, by a hook on the head."""

    def raise_eos(_module: Any, _inputs: Any, logits: torch.Tensor) -> torch.Tensor:
        logits = logits.clone()
        logits[..., tiny.EOS] = logits.logsumexp(dim=-1) - 1.4  # e^-1.4 / (1 + e^-1.4) = .2
        return logits

    policy.head.register_forward_hook(raise_eos)


def test_tokens_depend_on_the_row_s_seed_alone(models: dict[str, Path]) -> None:
    policy = tiny.policy(models["mistral"])
    love_eos(policy)
    caps = [10] * 5
    first = rollouts(policy, [1, 2, 3, 4, 5], caps)
    assert rollouts(policy, [1, 2, 3, 4, 5], caps) == first
    assert rollouts(policy, [1, 2, 3, 4, 5], caps, decode_batch=2) == first
    other = rollouts(policy, [1, 2, 99, 4, 5], [10, 10, 10, 10, 30])
    assert [other[r] for r in (0, 1, 3)] == [first[r] for r in (0, 1, 3)]
    assert other[2] != first[2]
    assert other[4].tokens[: len(first[4].tokens)] == first[4].tokens


def test_a_slow_judge_changes_no_token_and_no_weight(models: dict[str, Path]) -> None:
    seen = []
    for judge in (bench.WordJudge(), bench.WordJudge(slow=0.05)):
        trained = bench.trainer(tiny.policy(models["gpt2"]), bench.config(), judge=judge)
        logs = [bench.step(trained) for _ in range(2)]
        seen.append(([r.response_tokens for log in logs for r in log.rollouts], trained.weights_sha256()))
        trained.close()
    assert seen[0] == seen[1]


def test_other_seeds_and_other_steps_sample_other_tokens(models: dict[str, Path]) -> None:
    seen = set()
    for seed in (0, 1):
        settings = bench.config(run={"seed": seed, "steps": 4}, ppo={"learning_rate": 0.0})
        trained = bench.trainer(tiny.policy(models["gpt2"]), settings, train=tiny.prompts(1) * 4)
        seen |= {r.response_tokens for _ in range(2) for r in bench.step(trained).rollouts}
        trained.close()
    assert len(seen) == 16  # two seeds, two steps, four rows, all of one prompt


def test_a_generation_config_of_the_model_does_not_narrow_the_sampler(models: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "greedy"
    shutil.copytree(models["llama"], folder)
    narrow = {"do_sample": False, "top_k": 2, "top_p": 0.1, "temperature": 0.1, "repetition_penalty": 5.0}
    (folder / "generation_config.json").write_text(json.dumps(narrow))
    policy = tiny.policy(folder)
    n = 4000
    found = generate(policy, [PROMPTS[0]] * n, [1] * n, list(range(n)), Sampling())
    counts = torch.zeros(tiny.VOCABULARY)
    for f in found:
        counts[f.tokens[0]] += 1
    ids = torch.tensor([PROMPTS[0]])
    with torch.no_grad():
        model: Any = policy.model
        probs = model(input_ids=ids).logits[0, -1].double().softmax(dim=0)
    likely = probs > 5 / n  # the test needs five expected counts a cell; the rest is one cell
    observed = [*counts[likely].tolist(), float(counts[~likely].sum())]
    expected = [*(n * probs[likely]).tolist(), float(n * probs[~likely].sum())]
    assert len(observed) > 40
    assert chisquare(observed, expected, sum_check=False).pvalue > 1e-3


def test_the_draw_by_hand() -> None:
    # p = .5 .2 .3, cumulative .5 .7 1; ids where the uniform number first falls below
    logits = torch.tensor([[0.5, 0.2, 0.3]]).log().expand(6, 3)
    uniform = torch.tensor([0.0, 0.49, 0.51, 0.69, 0.71, 1 - 1e-16], dtype=torch.float64)
    assert sample(logits, uniform, Sampling()).tolist() == [0, 0, 1, 1, 2, 2]
    assert sample(logits, uniform, Sampling(top_k=1)).tolist() == [0] * 6
    # top 2: .5 / .8 = .625 of id 0, the rest id 2
    assert sample(logits, uniform, Sampling(top_k=2)).tolist() == [0, 0, 0, 2, 2, 2]
    assert sample(logits, uniform, Sampling(top_p=0.6)).tolist() == [0, 0, 0, 2, 2, 2]  # .5 is not enough, .8 is


def test_a_token_of_probability_zero_is_never_drawn() -> None:
    logits = torch.tensor([[-1e9, 0.0, -1e9, 0.0, -1e9]]).expand(5, 5)
    uniform = torch.tensor([0.0, 0.25, 0.5, 0.75, 1 - 1e-16], dtype=torch.float64)
    assert sample(logits, uniform, Sampling()).tolist() == [1, 1, 3, 3, 3]


def test_the_defaults_narrow_nothing() -> None:
    assert (Sampling().top_k, Sampling().top_p) == (0, 1.0)
    assert (bench.config().rollout.top_k, bench.config().rollout.top_p, bench.config().rollout.temperature) == (0, 1, 1)


@pytest.mark.parametrize("minimum", [0, 2])
def test_probabilities_sum_to_one_with_eos_banned_before_the_minimum(folder: Path, minimum: int) -> None:
    policy = tiny.policy(folder, min_new_tokens=minimum)
    # Every token of the vocabulary as the response's token at each of three places after the same words.
    rows = [((7, 8), (*((20, 21, 22)[:place]), token)) for place in range(3) for token in range(tiny.VOCABULARY)]
    batch = make_batch([p for p, _ in rows], [r for _, r in rows], pad_id=0, device=policy.device)
    with torch.no_grad():
        passes = {"actor": policy.actor_pass(batch).logprob_BT, "reference": policy.reference_pass(batch).logprob_BT}
    for logprob_BT in passes.values():
        for place in range(3):
            chosen = logprob_BT[place * tiny.VOCABULARY : (place + 1) * tiny.VOCABULARY, place].double().exp()
            assert float(chosen.sum()) == pytest.approx(1, abs=1e-5)
            assert (float(chosen[tiny.EOS]) == 0) is (place < minimum)


def test_log_probs_and_entropy_are_those_of_the_model(folder: Path) -> None:
    policy = tiny.policy(folder, temperature=1.3)
    batch = tiny.batch(policy)
    model: Any = policy.model
    with torch.no_grad():
        got = policy.actor_pass(batch, entropy=True)
        for row, (prompt, response) in enumerate(tiny.SEQUENCES):
            logits = model(input_ids=torch.tensor([[*prompt, *response]])).logits[0].double() / 1.3
            for t, token in enumerate(response):
                logp = logits[len(prompt) - 1 + t].log_softmax(dim=0)
                assert float(got.logprob_BT[row, t]) == pytest.approx(float(logp[token]), abs=1e-5)
                assert got.entropy_BT is not None
                assert float(got.entropy_BT[row, t]) == pytest.approx(float(-(logp.exp() * logp).sum()), abs=1e-5)


def test_chunks_of_the_head_give_the_same_numbers_and_gradients(models: dict[str, Path]) -> None:
    for mode in ("lora", "full"):
        policy = tiny.policy(models["gpt2"], adapter=mode)
        model = load_base(bench.config(model={"id": str(models["gpt2"])}).model, torch.device("cpu"))
        hidden = trunk_of(model)(input_ids=torch.tensor([[7, 8, 9, 10, 11]]))[0][0].detach()
        results = []
        for size in (10**9, 2 * tiny.VOCABULARY, 1):
            leaf = hidden.clone().requires_grad_()
            scored = chosen_logprobs(
                policy.head,
                leaf,
                torch.tensor([3, 1, 4, 1, 5]),
                policy.options,
                entropy=mode == "full",
                chunk_elements=size,
            )
            (scored.logprob_N * torch.arange(5)).sum().backward()
            results.append(torch.cat([scored.logprob_N.detach(), leaf.grad.flatten()]))  # type: ignore[union-attr]
        for other in results[1:]:
            torch.testing.assert_close(other, results[0], rtol=1e-5, atol=1e-6)
        by_hand = head_of(model)(hidden).log_softmax(dim=1)[torch.arange(5), torch.tensor([3, 1, 4, 1, 5])]
        if mode == "lora":
            torch.testing.assert_close(results[0][:5], by_hand, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("adds_bos", [False, True])
def test_prompt_ids_are_flat_with_at_most_one_bos(models: dict[str, Path], tmp_path: Path, adds_bos: bool) -> None:
    from core.model import load_tokenizer

    fast = tiny.tokenizer()
    fast.chat_template = "{{ bos_token + '\n' }}" + tiny.CHAT_TEMPLATE
    if adds_bos:
        from tokenizers.processors import TemplateProcessing

        fast.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    fast.save_pretrained(tmp_path)
    text = load_tokenizer(bench.config(model={"id": str(tmp_path)}).model)
    ids = text.encode(
        Prompt(id="p", messages=(Message(role="system", content="w9"), Message(role="user", content="w7 w8")))
    )
    # bos, system, w9, eos, user, w7, w8, eos, assistant
    assert ids == (1, 5, 9, 2, 3, 7, 8, 2, 4)
    assert text.pad_id not in text.eos_ids  # pad was eos; an unused token takes its place
    plain = tiny.tokenizer(template=False)
    plain.save_pretrained(tmp_path / "plain")
    ids = load_tokenizer(bench.config(model={"id": str(tmp_path / "plain")}).model).encode(
        Prompt(id="p", messages=(Message(role="user", content="w7 w8"),))
    )
    assert ids == (7, 8)
