"""The prompts of a comparison: a run's held-out ones, or those of a file that no run among the models trained on."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..config import RunConfig
from ..config_file import load_config
from ..demo import PROMPTS_CSV
from ..errors import DataError
from ..prompt_split import prompt_key
from ..prompts import Columns, Dataset, load_prompts, read_table
from ..rollout_log import read_rollouts
from ..run_dir import RunDir
from ..types import Prompt
from .job import Job

SOURCE_NAMES = (
    "source", "dataset", "subset", "category", "task_category", "task_type", "domain", "topic", "subject"
)  # fmt: skip
"""Columns that say where a prompt comes from, the plainest name first."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The prompts that are asked, each text once, in the order in which they are compared."""

    prompts: tuple[Prompt, ...]
    described: str
    fingerprint: str
    sources: Mapping[str, str] = field(default_factory=dict)
    """Source by prompt id."""


def choose(job: Job, home: RunDir | None, runs: Sequence[RunDir]) -> Chosen:
    """The prompts of a job. Raises ``DataError`` where there are none.

    ``runs`` are those among the models: of their own data only what they held out is asked.
    """
    if job.data:
        chosen = _of_file(job, home, runs)
    elif home is None:
        raise DataError("no run takes part whose held-out prompts could be asked; give --data FILE")
    else:
        chosen = _held_out(home)
    distinct = tuple({prompt_key(prompt): prompt for prompt in reversed(chosen.prompts)}.values())[::-1]
    if job.n and job.n < len(distinct):
        drawn = sorted(random.Random(f"compare:{job.seed}").sample(range(len(distinct)), job.n))
        distinct = tuple(distinct[place] for place in drawn)
    return Chosen(prompts=distinct, described=chosen.described, fingerprint=chosen.fingerprint, sources=chosen.sources)


def _held_out(run: RunDir) -> Chosen:
    config = load_config(run.config)
    dataset = _dataset(config)
    prompts = held_out_prompts(run, config)
    if not prompts:
        raise DataError(f"run '{run.name}' held no prompts out (data.validation_prompts); give --data FILE")
    return Chosen(
        prompts=prompts,
        described=f"held-out prompts of {run.name}",
        fingerprint=dataset.fingerprint if dataset else "",
        sources=_sources(_path(config), dataset) if dataset else {},
    )


def held_out_prompts(run: RunDir, config: RunConfig) -> tuple[Prompt, ...]:
    """What the run validates on: as its first validation recorded it, or as its configuration splits the data."""
    recorded = read_rollouts(run.validation(0)).rollouts.values()
    expected = config.data.validation_prompts
    if recorded and (len(recorded) >= expected or _is_validated(run)):
        return tuple(rollout.prompt for rollout in sorted(recorded, key=lambda rollout: rollout.row))
    from ..build import build_prompts  # torch comes with these
    from ..model import load_tokenizer

    return build_prompts(config, load_tokenizer(config.model), 1 << 30).validation


def _is_validated(run: RunDir) -> bool:
    from ..events import ValidationCompleted
    from ..journal import read_events

    return any(isinstance(event, ValidationCompleted) for event in read_events(run.events))


def _of_file(job: Job, home: RunDir | None, runs: Sequence[RunDir]) -> Chosen:
    config = load_config(home.config) if home else RunConfig()
    same = home is not None and job.data == config.data.path
    path = str(PROMPTS_CSV) if job.data == "demo" else job.data
    columns = _columns(config) if same else None
    dataset = load_prompts(path, columns=columns, system_prompt=config.data.system_prompt or None)
    trained = set[str]()
    for run in runs:
        trained |= _trained_on(run)
    kept = tuple(prompt for prompt in dataset.prompts if _text_key(prompt) not in trained)
    left_out = len(dataset.prompts) - len(kept)
    if not kept:
        names = ", ".join(run.name for run in runs)
        raise DataError(f"{job.data}: {names} trained on every prompt of it; give prompts that were held out")
    note = f", without {left_out:,} that a run was trained on" if left_out else ""
    return Chosen(
        prompts=kept,
        described=f"{job.data}{note}",
        fingerprint=dataset.fingerprint,
        sources=_sources(path, dataset),
    )


def _trained_on(run: RunDir) -> set[str]:
    """Keys of what the run may have been trained on: its data without what it held out."""
    config = load_config(run.config)
    dataset = _dataset(config)
    if dataset is None:
        return set()
    labels = dataset.split_labels or {}
    apart = {_text_key(prompt) for prompt in held_out_prompts(run, config)}
    apart |= {_text_key(prompt) for prompt in dataset.prompts if labels.get(prompt.id) == "validation"}
    return {_text_key(prompt) for prompt in dataset.prompts} - apart


def _text_key(prompt: Prompt) -> str:
    """A system prompt makes no other prompt of it."""
    turns = tuple(message for message in prompt.messages if message.role != "system")
    return prompt_key(Prompt(id="", messages=turns))


def _dataset(config: RunConfig) -> Dataset | None:
    """The run's data as it is now; None where the file is gone, which is no obstacle."""
    try:
        return load_prompts(
            _path(config), columns=_columns(config), system_prompt=config.data.system_prompt or None,
            max_rows=config.data.max_rows,
        )  # fmt: skip
    except (DataError, OSError):
        return None


def _path(config: RunConfig) -> str:
    return str(PROMPTS_CSV) if config.data.path == "demo" else config.data.path


def _columns(config: RunConfig) -> Columns:
    data = config.data
    return Columns(
        prompt=data.prompt_column,
        reference=data.reference_column,
        chosen=data.chosen_column,
        rejected=data.rejected_column,
        system=data.system_column,
    )


def _sources(path: str, dataset: Dataset) -> dict[str, str]:
    """Source by prompt id, from the first column that is called like one and is not used for something else."""
    used = {name for name in (dataset.report.mapping.prompt, dataset.report.mapping.context) if name}
    named = _source_column(name for name in dataset.report.columns if name not in used)
    if named is None or not dataset.rows:
        return {}
    cells = read_table(path).frame[named]
    found = {prompt.id: cells.loc[row] for prompt, row in zip(dataset.prompts, dataset.rows, strict=True)}
    return {id_: value.strip() for id_, value in found.items() if isinstance(value, str) and value.strip()}


def _source_column(columns: Iterable[str]) -> str | None:
    plain = {name.strip().casefold().replace("-", "_").replace(" ", "_"): name for name in columns}
    return next((plain[name] for name in SOURCE_NAMES if name in plain), None)
