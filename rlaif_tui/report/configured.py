"""With what the run was made, on what, and how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from core.events import CommandApplied

from .. import __version__
from ..sentences import UNKNOWN
from .blocks import Block, Facts, Heading, Listing, Section, Table, Words
from .gather import Source
from .overview import when


def configuration(source: Source) -> Section:
    """The resolved configuration. It holds no secret: a configuration with one cannot be loaded."""
    blocks: list[Block] = []
    config = source.config
    if config is not None:
        blocks.append(Facts(tuple(_main(source))))
    if source.config_text:
        blocks.append(Listing(source.config_text, "toml", "config.toml, every key as it was in force at the start"))
    else:
        blocks.append(Words("The configuration is missing.", "warn"))
    return Section("configuration", "Configuration", tuple(blocks))


def environment(source: Source) -> Section:
    """Versions and machine."""
    state = source.state
    rows: list[tuple[str, str]] = []
    if state.ready:
        rows += [
            ("device", state.ready.device),
            ("parameters", f"{state.ready.parameters:,}, of which {state.ready.trainable:,} train"),
        ]
    if state.started:
        rows += [("host", state.started.host), ("worker started", when(state.started.time))]
        rows += [(name, version) for name, version in state.started.versions.items()]
    rows += [("report made by", f"rlaif-tui {__version__}")]
    memory = [("worker's memory", state.rss_mb), ("GPU memory", state.gpu_memory_mb)]
    rows += [(name, f"{amount:,.0f} MiB at its last sign of life") for name, amount in memory if amount]
    blocks: list[Block] = [Facts(tuple(rows))]
    if not state.started:
        blocks.append(Words("No worker ever wrote what it runs on.", "warn"))
    if state.ready and state.ready.notes:
        blocks.append(Table(("what was noted when the data was read",), tuple((note,) for note in state.ready.notes)))
    return Section("environment", "Environment", tuple(blocks))


def reproduce(source: Source) -> Section:
    """Files, commands, seeds, hashes."""
    return Section("reproduce", "How to reproduce", tuple(_reproduce(source)))


def _main(source: Source) -> Iterator[tuple[str, str]]:
    config = source.config
    if config is None:
        return
    model, ppo, rollout, data = config.model, config.ppo, config.rollout, config.data
    yield "model", f"{model.id} ({model.revision})" if model.id != "demo" else "demo, the bundled model"
    how = f"LoRA, rank {model.lora_rank}, alpha {model.lora_alpha:g}" if model.adapter == "lora" else "every weight"
    yield "trained", how + (f", base in {model.quantization}" if model.quantization != "none" else "")
    yield "data", data.path if data.path != "demo" else "demo, the bundled prompts"
    ready = source.state.ready
    if ready:
        dropped = f", {ready.dropped_prompts:,} too long" if ready.dropped_prompts else ""
        yield "prompts", f"{ready.train_prompts:,} to train, {ready.validation_prompts:,} held out{dropped}"
    yield "responses", f"{rollout.batch_size} a step, at most {rollout.max_new_tokens} tokens, {_sampling(source)}"
    yield (
        "PPO",
        f"{ppo.epochs} epochs, mini-batches of {ppo.mini_batch_size}, clip {ppo.clip_low:g} and {ppo.clip_high:g}, "
        f"λ {ppo.gae_lambda:g}, γ {ppo.gamma:g}, critic {ppo.critic}",
    )
    yield "learning rate", f"{ppo.learning_rate:g} ({ppo.schedule}), critic {ppo.critic_learning_rate:g}"
    target = f", target {ppo.kl_target:g} nats" if ppo.kl_controller == "adaptive" else ""
    yield "KL price", f"{ppo.kl_coef:g} ({ppo.kl_controller}{target}), estimator {ppo.kl_estimator}"
    yield "seed", f"{config.run.seed}, of the split {data.seed}"


def _sampling(source: Source) -> str:
    if source.config is None:
        return ""
    rollout = source.config.rollout
    narrowed = f", top-p {rollout.top_p:g}" if rollout.top_p < 1 else ""
    narrowed += f", top-k {rollout.top_k}" if rollout.top_k else ""
    return f"temperature {rollout.temperature:g}{narrowed}"


def _reproduce(source: Source) -> Iterator[Block]:
    state, config = source.state, source.config
    known = source.identity
    rows = [
        ("seed", str(config.run.seed) if config else UNKNOWN),
        ("data, SHA-256 of the file", str(known.get("data_fingerprint") or UNKNOWN)),
        ("base model's fingerprint", str(known.get("model_fingerprint") or UNKNOWN)),
        ("trained weights, SHA-256", state.weights_sha256 or f"{UNKNOWN}: known once a run has ended in order"),
    ]
    rows += [("judge version", source.judges[0].version or UNKNOWN)] if source.judges else []
    yield Facts(tuple(rows), frozenset(name for name, value in rows if not value.startswith(UNKNOWN)))
    yield Words(
        "Save config.toml of this report as run.toml. With the same machine, versions and number of threads the same "
        "seed gives the same weights, bit for bit; elsewhere the same course, not the same bits."
    )
    if config is not None and config.judge.file:
        yield Words("Save the judge of this report as judge.toml and let judge.file in run.toml name it.")
    yield Listing("\n".join(_commands(source)), "sh")
    changes = [event for event in source.story.moments if isinstance(event, CommandApplied) and event.name != "pause"]
    changes = [event for event in changes if event.name in ("set", "replace_judge")]
    if changes:
        yield Heading("What was changed while it ran")
        yield Table(
            ("from step", "what", "by"),
            tuple((str(event.step), f"{event.name} {event.detail}".strip(), event.by) for event in changes),
            frozenset({0}),
        )


def _commands(source: Source) -> Iterator[str]:
    name = shlex.quote(f"{source.run.name}-again"[:64])
    yield f"pip install rlaif-tui=={__version__}"
    yield "rlaif-tui check run.toml"
    if source.config is not None and source.config.judge.file:
        yield f"rlaif-tui train run.toml --name {name} --set judge.file=judge.toml"
    else:
        yield f"rlaif-tui train run.toml --name {name}"
    if source.comparisons:
        yield f"rlaif-tui compare base {name}"
    weights = "--adapter ./adapter" if _is_lora(source) else "--merged ./model"
    yield f"rlaif-tui export {name} {weights}"


def _is_lora(source: Source) -> bool:
    return source.config is None or source.config.model.adapter == "lora"
