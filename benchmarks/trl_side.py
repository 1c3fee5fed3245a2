"""TRL 1.12.0's PPOTrainer as a process that makes one PPO step when told to. Runs in an environment of its own.

Started by ``ppo_step.py`` with the task as JSON in its one argument. Prints ``ready``; then, for each line ``step`` on
standard input, makes a step and prints its CPU seconds by phase. TRL's code is not edited: functions of its module are
wrapped with timers. Phases: generate (``batch_generation``), score (from there to the whitened advantages: reference,
values, log-probs, reward model, GAE), update (the rest).
"""

from __future__ import annotations

import copy
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

os.environ.setdefault("OMP_NUM_THREADS", "1")

import accelerate
import datasets
import peft
import torch
import transformers
import trl
from torch import Tensor, nn
from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

WANTED = "1.12.0"
NO_SUCH_ID = 1
"""Added to the vocabulary's size this is a pad id that no model of that size can sample."""


class EvenShare(nn.Module):
    """A reward model in the shape TRL asks for: 2 x (share of even ids so far) - 1, for next to no work."""

    base_model_prefix = "trunk"

    def __init__(self) -> None:
        super().__init__()
        self.trunk = self._Trunk()

    def score(self, hidden_BS1: Tensor) -> Tensor:
        return hidden_BS1

    class _Trunk(nn.Module):
        def forward(self, input_ids: Tensor, **_: Any) -> Any:
            even_BS = (input_ids % 2 == 0).float()
            share_BS = even_BS.cumsum(dim=1) / torch.arange(1, input_ids.shape[1] + 1)
            return transformers.modeling_outputs.BaseModelOutput(hidden_states=((2 * share_BS - 1).unsqueeze(-1),))


class EndOfInputError(Exception):
    """The driver has closed our standard input: nothing more to do."""


class Turns(transformers.TrainerCallback):
    """Holds ``train()`` between steps until the driver asks for the next one, and reports the one just made."""

    def __init__(self, answers: TextIO, task: dict[str, Any]) -> None:
        self._answers = answers
        self._task = task
        self.seconds: dict[str, float] = {}
        self.optimiser_steps = 0
        self._began = 0.0
        self._wall = 0.0

    def say(self, **answer: Any) -> None:
        print(json.dumps(answer), file=self._answers, flush=True)

    def wait(self) -> None:
        if sys.stdin.readline().strip() != "step":
            raise EndOfInputError
        self.seconds, self.optimiser_steps = {}, 0
        self._began, self._wall = time.process_time(), time.perf_counter()

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.wait()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        total = time.process_time() - self._began
        wanted = self._task["epochs"] * self._task["batch"] // self._task["mini_batch"]
        if self.optimiser_steps != wanted:
            fail(f"{self.optimiser_steps} optimiser steps were made, {wanted} were meant")
        score = self.seconds["scored"] - self.seconds["generated"]
        generate = self.seconds["generated"] - self.seconds["began"]
        self.say(
            cpu={"total": total, "generate": generate, "score": score, "update": total - generate - score},
            wall=time.perf_counter() - self._wall,
            optimiser_steps=self.optimiser_steps,
            peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
        self.wait()

    def watch(self, trainer: PPOTrainer) -> None:
        """Put timers around generation and the whitening of advantages, and count optimiser steps."""
        generation: Callable[..., Any] = ppo_trainer.batch_generation
        whitening: Callable[..., Any] = ppo_trainer.masked_whiten

        def batch_generation(*args: Any, **kwargs: Any) -> Any:
            self.seconds["began"] = time.process_time()
            result = generation(*args, **kwargs)
            self.seconds["generated"] = time.process_time()
            wanted = (self._task["batch"], self._task["prompt"] + self._task["response"])
            if tuple(result[0].shape) != wanted:
                fail(f"sequences of shape {tuple(result[0].shape)} were generated, {wanted} was meant")
            return result

        def masked_whiten(*args: Any, **kwargs: Any) -> Any:
            result = whitening(*args, **kwargs)
            self.seconds["scored"] = time.process_time()
            return result

        def count(*_: Any) -> None:
            self.optimiser_steps += 1

        ppo_trainer.batch_generation = batch_generation
        ppo_trainer.masked_whiten = masked_whiten
        trainer.optimizer.optimizer.register_step_post_hook(count)


def fail(message: str) -> NoReturn:
    sys.exit(f"trl_side.py: {message}")


def make_trainer(task: dict[str, Any], turns: Turns) -> PPOTrainer:
    """TRL's fastest way through the same work: whole batch per device, so that it steps once per mini-batch."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(task["model"])
    model = transformers.AutoModelForCausalLM.from_pretrained(task["model"], dtype=torch.float32)
    value_model = transformers.AutoModelForSequenceClassification.from_pretrained(
        task["model"], num_labels=1, dtype=torch.float32
    )
    tokenizer.pad_token_id = model.config.vocab_size + NO_SUCH_ID
    lora = task["adapter"] == "lora"
    settings = peft.LoraConfig(
        r=task["rank"],
        lora_alpha=2 * task["rank"],
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with open(task["prompts"], encoding="utf-8") as file:
        rows = [{"input_ids": ids} for ids in json.load(file)]
    return PPOTrainer(
        args=config_of(task),
        processing_class=tokenizer,
        model=model,
        ref_model=None if lora else copy.deepcopy(model),
        reward_model=EvenShare(),
        value_model=value_model,
        train_dataset=datasets.Dataset.from_list(rows),
        callbacks=[turns],
        peft_config=settings if lora else None,
    )


def config_of(task: dict[str, Any]) -> PPOConfig:
    return PPOConfig(
        output_dir=task["scratch"],
        per_device_train_batch_size=task["batch"],
        gradient_accumulation_steps=1,
        num_mini_batches=task["batch"] // task["mini_batch"],
        num_ppo_epochs=task["epochs"],
        response_length=task["response"],
        local_rollout_forward_batch_size=task["batch"],
        total_episodes=task["batch"] * 10_000,
        temperature=1.0,
        learning_rate=task["learning_rate"],
        lr_scheduler_type="constant",
        kl_coef=task["kl_coef"],
        bf16=False,
        gradient_checkpointing=False,
        num_sample_generations=0,
        use_cpu=True,
        seed=task["seed"],
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def main() -> None:
    # The libraries print to standard output; the driver reads only what we say on the real one.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    task = json.loads(sys.argv[1])
    if trl.__version__ != WANTED:
        fail(f"TRL {trl.__version__} is installed here; {WANTED} is the last release with a PPOTrainer")
    turns = Turns(answers, task)
    trainer = make_trainer(task, turns)
    turns.watch(trainer)
    modules = {"torch": torch, "trl": trl, "transformers": transformers, "peft": peft, "accelerate": accelerate}
    turns.say(ready=True, versions={name: module.__version__ for name, module in modules.items()})
    try:
        trainer.train()
    except EndOfInputError:
        return


if __name__ == "__main__":
    main()
