"""The model card: front matter for the hub, and what a stranger has to know before using the weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from ..compare.record import trained
from ..compare.summary import summarise
from ..judge.keys import mask
from ..judge.workbench.resampling import Figure
from ..markdown import code, fence, words
from .facts import CardFacts

Kind = Literal["adapter", "merged"]
_LIBRARY = {"adapter": "peft", "merged": "transformers"}


def card(facts: CardFacts, kind: Kind) -> str:
    """``README.md`` of an exported folder; ``huggingface_hub.ModelCard`` reads it, and the hub shows it."""
    body = "\n\n".join(_body(facts, kind))
    return f"---\n{_front(facts, kind)}---\n\n{body}\n"


def _front(facts: CardFacts, kind: Kind) -> str:
    from huggingface_hub import ModelCardData

    tags = ["rlaif", "reinforcement-learning", "ppo", "rlaif-tui", *(["lora"] if kind == "adapter" else [])]
    data = ModelCardData(
        base_model=facts.base_id or None,
        datasets=[facts.dataset_id] if facts.dataset_id else None,
        library_name=_LIBRARY[kind],
        license=facts.license or "other",
        license_name=None if facts.license else "unknown",
        pipeline_tag="text-generation",
        tags=tags,
    )
    return f"{data.to_yaml()}\n"


def _body(facts: CardFacts, kind: Kind) -> Iterator[str]:
    what = "LoRA adapter" if kind == "adapter" else "Model"
    yield f"# {_words(facts.run)}, step {facts.step}"
    yield (
        f"{what} trained from {_code(facts.base)} with reinforcement learning from AI feedback: PPO, with a language "
        "model judge's score as the reward. Made with rlaif-tui."
    )
    yield "## How to load it"
    yield fence(_loading(facts, kind), "python")
    yield "## Before and after"
    yield from _results(facts)
    yield "## How it was trained"
    yield "\n".join(f"- {name}: {value}" for name, value in _training(facts))
    yield "## Intended use and limits"
    yield from _limits(facts)
    yield "## License"
    yield _license(facts)
    yield "## Publishing this folder"
    yield "With your own account: `hf auth login`, then `hf upload YOUR-NAME/MODEL-NAME .` in this folder " \
          "(`huggingface-cli upload` with older versions)."  # fmt: skip


def _loading(facts: CardFacts, kind: Kind) -> str:
    base = repr(mask(facts.base_id)) if facts.base_id else '"path/to/the/base"'
    lines = ["from transformers import AutoModelForCausalLM, AutoTokenizer", ""]
    if kind == "adapter":
        lines = ["from peft import PeftModel", *lines]
        lines += [
            f"model = AutoModelForCausalLM.from_pretrained({base})",
            'model = PeftModel.from_pretrained(model, "path/to/this/folder")',
        ]
    else:
        lines += ['model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")']
    return "\n".join([*lines, 'tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")'])


def _results(facts: CardFacts) -> Iterator[str]:
    before, after = facts.before, facts.after
    if before is not None and after is not None:
        yield (
            f"Score of the judge, 0 to 10, on the same {after.n} held-out prompts, {_number(before.mean)} at step "
            f"{before.step} and {_number(after.mean)} at step {after.step}: {_change(after.difference, after.ci95)}."
        )
    else:
        yield "No held-out prompts were scored before and after."
    found = facts.comparison
    if found is None:
        yield "No comparison with another model was made."
        return
    number = trained(found)
    left, right = found.models[0], found.models[number]
    summary = summarise(found, 0, number)
    yield (
        f"Newest comparison, {_words(right.title)} against {_words(left.title)} on {len(found.rows)} prompts, judged "
        f"by {_words(found.header.judge)}: {_words(summary.verdict)}"
    )
    told = [("mean score", f"{_figure(summary.mean_left)} against {_figure(summary.mean_right)}"),
            ("difference, paired", _figure(summary.difference, "+.2f"))]  # fmt: skip
    if summary.n:
        told += [
            ("win rate in pairs, a tie as half", f"{_figure(summary.win_rate)}, {summary.n} prompts, both orders"),
            ("win rate at equal length", _figure(summary.length_controlled)),
        ]
    yield "\n".join(f"- {name}: {value}" for name, value in told)


def _training(facts: CardFacts) -> Iterator[tuple[str, str]]:
    config = facts.config
    model, ppo, rollout = config.model, config.ppo, config.rollout
    yield "base model", _code(facts.base) + (f", revision {_code(model.revision)}" if facts.base_id else "")
    yield "data", _code(facts.data) + (f", SHA-256 {_code(facts.data_fingerprint)}" if facts.data_fingerprint else "")
    yield "judge", _code(facts.judge) + (f", version {_code(facts.judge_version)}" if facts.judge_version else "")
    quantised = f", base in {model.quantization}" if model.quantization != "none" else ""
    lora = f"LoRA of rank {model.lora_rank}, alpha {model.lora_alpha:g}"
    yield "weights trained", (lora if model.adapter == "lora" else "all") + quantised
    yield "steps", f"{facts.step}, each of {rollout.batch_size} responses of at most {rollout.max_new_tokens} tokens"
    yield "sampling", f"temperature {rollout.temperature:g}, top-p {rollout.top_p:g}, top-k {rollout.top_k or 'off'}"
    yield (
        "PPO",
        f"{ppo.epochs} epochs, mini-batches of {ppo.mini_batch_size}, learning rate {ppo.learning_rate:g} "
        f"({ppo.schedule}), clip {ppo.clip_low:g} and {ppo.clip_high:g}, gamma {ppo.gamma:g}, "
        f"lambda {ppo.gae_lambda:g}, critic {ppo.critic}",
    )
    target = f", adaptive, target {ppo.kl_target:g} nats" if ppo.kl_controller == "adaptive" else ""
    yield "KL price", f"{ppo.kl_coef:g}{target}; values are those at the start, some can be changed while a run goes on"
    yield "seed", str(config.run.seed)
    if facts.versions:
        yield "versions", ", ".join(f"{_words(name)} {_words(value)}" for name, value in sorted(facts.versions.items()))


def _limits(facts: CardFacts) -> Iterator[str]:
    yield (
        "Meant for research on preference training and for the task of its prompts. The weights were moved towards "
        "what one judge scores high, which is not the same as what is true, safe or helpful: a judge can be fooled, "
        "may prefer length or manner, and knows nothing of prompts unlike these. Nothing here was tested for safety. "
        "Compare with the base on your own prompts, and have people read the responses, before anybody depends on it."
    )
    if facts.config.judge.file == "":
        yield "The judge was a fixed set of text rules, which is no real judge: take this as a demonstration."


def _license(facts: CardFacts) -> str:
    if facts.license:
        return f"{_code(facts.license)}, as the base model's. Data and judge may add terms of their own."
    return (
        "The base model's license is not known on the machine where this was exported. Look it up and put it into the "
        "`license` field above before you publish: trained weights stay under the base's terms."
    )


def _change(difference: float | None, ci95: tuple[float, float] | None) -> str:
    if difference is None:
        return "the difference was not measured"
    ends = f" (95% CI {ci95[0]:+.2f} to {ci95[1]:+.2f})" if ci95 else ""
    return f"a change of {difference:+.2f}{ends}"


def _figure(figure: Figure, pattern: str = ".2f") -> str:
    if figure.value is None:
        return f"not known ({_words(figure.why)})"
    ends = f" (95% CI {figure.ci95[0]:{pattern}} to {figure.ci95[1]:{pattern}})" if figure.ci95 else ""
    return format(figure.value, pattern) + ends


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}"


def _words(text: str) -> str:
    return words(mask(text))


def _code(text: str) -> str:
    return code(mask(text))
