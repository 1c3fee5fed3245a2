"""Making a comparison: who answers what, with which random numbers, on which base, and what a judge is asked."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
from compare_runs import adapter, data, made, trained
from judge_server import JudgeServer, always_a

from core.compare import generate
from core.compare.record import Comparison, Finished, folder_of
from core.compare.summary import summarise
from core.compare.targets import resolve
from core.config import ModelConfig
from core.errors import RlaifError
from core.run_dir import RunDir


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare")


@pytest.fixture(scope="module")
def base(place: Path) -> Path:
    return tiny.save("llama", place / "llama")


@pytest.fixture(scope="module")
def run(place: Path, base: Path) -> RunDir:
    return trained(place, base)


def test_base_and_checkpoints_are_compared_on_what_the_run_held_out(
    run: RunDir, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = made(place, monkeypatch, "base", "r@1", "r")
    assert found.finished is not None
    assert found.finished.error == ""
    assert [(m.label, m.kind, m.step, m.title) for m in found.models] == [
        ("A", "base", None, "base llama"), ("B", "checkpoint", 1, "r step 1"), ("C", "checkpoint", 2, "r step 2"),
    ]  # fmt: skip
    assert len({m.fingerprint for m in found.models}) == 3
    assert (len(found.rows), found.header.rows, len(found.duels)) == (12, 12, 36)
    assert found.header.data == "held-out prompts of r"
    assert found.header.settings.max_new_tokens == 8
    assert {row.source for row in found.rows} <= {"web", "book"}
    assert all(reply.score is not None for row in found.rows for reply in row.replies if reply.text.strip())
    texts = [[row.replies[place].text for row in found.rows] for place in range(3)]
    assert texts[0] != texts[1]
    assert texts[1] != texts[2]  # training moved it


def test_a_checkpoint_answers_as_its_policy_did(run: RunDir, base: Path, place: Path, monkeypatch: Any) -> None:
    """The same base with the same weights, by the trainer's way of loading and by ours."""
    import torch

    from core.build import build_policy
    from core.config_file import load_config
    from core.export.source import read_run
    from core.model import load_tokenizer
    from core.rollout import Sampling, derive_seed
    from core.rollout import generate as sample
    from core.types import Message, Prompt

    found = made(place, monkeypatch, "base", "r", seed=5)
    config = load_config(run.config)
    tokenizer = load_tokenizer(config.model)
    policy = build_policy(config, tokenizer)
    snapshot, _ = read_run(run, 2)
    policy.load_trained(
        {n.removeprefix("weights."): t for n, t in snapshot.tensors.items() if n.startswith("weights.")}
    )
    rows = [Prompt(id=row.prompt_id, messages=(Message("user", row.prompt),)) for row in found.rows]
    ids, seeds = [tokenizer.encode(p) for p in rows], [derive_seed(5, "compare", p.id) for p in rows]
    replies = {d.row: tokenizer.decode(d.tokens) for d in sample(policy, ids, [8] * len(ids), seeds, Sampling())}
    assert [row.replies[1].text for row in found.rows] == [replies[i] for i in range(len(rows))]
    with policy.frozen() as start:
        assert torch.equal(next(start.parameters()), next(policy.model.get_base_model().parameters()))  # type: ignore


def test_a_base_is_loaded_once_and_adapters_are_taken_off_again(
    run: RunDir, base: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = generate.load_base

    def counted(config: ModelConfig, device: Any) -> Any:
        loaded.append(config.id)
        return load(config, device)

    monkeypatch.setattr(generate, "load_base", counted)
    elsewhere = adapter(base, tmp_path / "dpo")
    found = made(place, monkeypatch, "r", str(elsewhere), "base", str(base), run=str(run.path))
    assert loaded == [str(base)]
    texts = [[row.replies[place].text for row in found.rows] for place in range(4)]
    assert texts[2] == texts[3]  # what was put on before is off again
    assert texts[0] != texts[1] != texts[2]
    assert summarise(found, 2, 3).verdict.startswith("not distinguishable: C and D gave the same reply")


def test_a_plain_peft_adapter_answers_as_peft_itself_does(
    base: Path, place: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from core.compare.materials import gather
    from core.model import head_of, load_base, trunk_of

    folder = adapter(base, tmp_path / "dora", use_dora=True, modules_to_save=["lm_head"])
    (tmp_path / "copied").mkdir()
    material = gather(resolve((str(folder), str(base)), tmp_path), tmp_path / "copied")[0]
    ids = torch.tensor([[7, 2, 9, 20]])
    model = load_base(ModelConfig(id=str(base), device="cpu"), torch.device("cpu"))
    with torch.no_grad():
        theirs = (
            PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder).eval()(input_ids=ids).logits
        )
        plain = model(input_ids=ids).logits
        with generate.put_on(model, material) as on:
            ours = head_of(on)(trunk_of(on)(input_ids=ids)[0])
        after = model(input_ids=ids).logits
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(ours, plain, atol=1e-2)
    assert torch.equal(after, plain)


def test_models_of_two_kinds_each_read_the_prompt_their_own_way(
    base: Path, place: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    other = tiny.save("gpt2", tmp_path / "gpt2")
    tiny.tokenizer(template=False).save_pretrained(other)
    (other / "chat_template.jinja").unlink(missing_ok=True)
    found = made(
        place, monkeypatch, str(base), str(other), data=str(data(tmp_path)), judge="rubric", n=9, max_new_tokens=6
    )
    assert found.finished is not None
    assert found.finished.error == ""
    assert len(found.rows) == 9
    assert {m.kind for m in found.models} == {"model"}
    assert all(0 < reply.tokens <= 6 for row in found.rows for reply in row.replies)
    again = made(
        place, monkeypatch, str(base), str(other), data=str(data(tmp_path)), judge="rubric", n=9, max_new_tokens=6
    )
    assert [row.replies[0].text for row in again.rows] == [row.replies[0].text for row in found.rows]


@pytest.mark.parametrize("architecture", ["gpt2"])
def test_a_run_that_trained_every_weight(architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(tmp_path, tiny.save(architecture, tmp_path / "model"), adapter="full")
    found = made(tmp_path, monkeypatch, "r@1", "base", "r@2")
    assert found.finished is not None
    assert found.finished.error == ""
    texts = [[row.replies[place].text for row in found.rows] for place in range(3)]
    assert len({tuple(each) for each in texts}) == 3
    pair = made(tmp_path, monkeypatch, "base", "r@1")
    assert [row.replies[0].text for row in pair.rows] == texts[1]


def test_a_model_against_itself(run: RunDir, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = summarise(made(place, monkeypatch, "r", "r@2"))
    assert (pair.difference.value, pair.wins, pair.losses, pair.standing) == (0.0, 0, 0, "unclear")


def test_of_the_runs_own_file_only_what_was_held_out_is_asked(run: RunDir, place: Path, monkeypatch: Any) -> None:
    found = made(place, monkeypatch, "base", "r", data=str(place / "prompts.csv"))
    held = made(place, monkeypatch, "base", "r")
    assert {row.prompt for row in found.rows} == {row.prompt for row in held.rows}
    assert "without 28 that a run was trained on" in found.header.data


# judges


def judge_file(place: Path, server: JudgeServer, **more: Any) -> Path:
    path = place / "judge.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    path.write_text(
        "\n".join(['name = "server"', 'backend = "chat_json"', 'provider = "compatible"', 'model = "judge-small"',
                   f'base_url = "{server.url}"', *lines, "[price]", "input = 1.0", "output = 1.0"]) + "\n"
    )  # fmt: skip
    return path


def test_the_second_time_costs_nothing(
    run: RunDir, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLAIF_TUI_CACHE", str(tmp_path / "cache"))
    with JudgeServer() as server:
        judge = str(judge_file(tmp_path, server))
        first = made(place, monkeypatch, "base", "r", judge=judge)
        asked = len(server.requests)
        second = made(place, monkeypatch, "base", "r", judge=judge)
        assert len(server.requests) == asked > 24  # 24 replies, and pairs in both orders
    assert first.finished is not None
    assert second.finished is not None
    assert first.finished.error == second.finished.error == ""
    assert first.finished.cost_usd > 0 == second.finished.cost_usd
    assert [duel.outcome for duel in first.duels] == [duel.outcome for duel in second.duels]
    assert first.header.pair_judge == "server (judge-small) is shown two replies, in both orders"


def test_a_judge_that_always_says_a_wins_nothing_for_anybody(
    run: RunDir, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLAIF_TUI_CACHE", str(tmp_path / "cache"))
    with JudgeServer(pick=always_a) as server:
        found = made(place, monkeypatch, "base", "r", judge=str(judge_file(tmp_path, server)))
    pair = summarise(found)
    assert (pair.wins, pair.losses, pair.errors) == (0, 0, 0)
    assert pair.inconsistent == pair.ties > 6
    assert pair.first_position.value == 1.0


def test_the_cap_ends_the_asking_and_says_so(run: RunDir, place: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("RLAIF_TUI_CACHE", str(tmp_path / "cache"))
    with JudgeServer() as server:
        found = made(place, monkeypatch, "base", "r", judge=str(judge_file(tmp_path, server)), cap_usd=0.008)
        assert sum(given.status == 200 for given in server.given) < 24
    assert found.finished is not None
    assert "the judge stopped: the next judge call might pass the cap of $0.008" in found.finished.error
    assert found.finished.cost_usd <= 0.008
    assert len(found.rows) == 12  # what was answered is kept
    assert any(reply.failure for row in found.rows for reply in row.replies)


def test_a_judge_of_pairs_leaves_the_scores_to_the_runs_own(
    run: RunDir, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLAIF_TUI_CACHE", str(tmp_path / "cache"))
    with JudgeServer(pick=always_a) as server:
        path = judge_file(tmp_path, server)
        path.write_text(path.read_text() + '[template]\nbuilt_in = "pairwise"\n')
        found = made(place, monkeypatch, "base", "r", judge=str(path))
    assert found.header.judge == "rubric"
    assert found.header.pair_judge.startswith("server (judge-small) is shown two replies")
    assert all(reply.score is not None for row in found.rows for reply in row.replies if reply.text.strip())
    assert found.duels


# what goes wrong


def error_of(found: Comparison) -> str:
    assert isinstance(found.finished, Finished)
    return found.finished.error


def test_a_base_that_is_another_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.save("llama", tmp_path / "model")
    trained(tmp_path, model, steps=1)
    shutil.rmtree(model)
    tiny.save("llama", model, seed=9)
    assert "is not the one this run was trained on" in error_of(made(tmp_path, monkeypatch, "base", "r"))


def test_an_adapter_of_another_model_is_refused(base: Path, place: Path, tmp_path: Path, monkeypatch: Any) -> None:
    other = adapter(tiny.save("gpt2", tmp_path / "gpt2"), tmp_path / "dpo", fan_in_fan_out=True)
    settings = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": str(base)}))
    error = error_of(made(place, monkeypatch, str(base), str(other), data=str(data(tmp_path)), judge="rubric"))
    assert "does not fit its base" in error


def test_without_a_run_a_judge_must_be_named(base: Path, place: Path, tmp_path: Path, monkeypatch: Any) -> None:
    found = made(place, monkeypatch, str(base), str(base), data=str(data(tmp_path)))
    assert error_of(found) == "no run takes part whose judge could be asked; name one with --judge"
    found = made(place, monkeypatch, str(base), str(base), judge="rubric")
    assert "give --data FILE" in error_of(found)


def test_prompts_that_are_too_long_are_left_out_and_counted(
    base: Path, place: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    path = tmp_path / "long.csv"
    path.write_text("prompt\nw7 w8\n" + "w9 " * 70 + "\nw10\n")
    found = made(place, monkeypatch, str(base), str(base), data=str(path), judge="rubric", max_new_tokens=4)
    assert (found.header.rows, error_of(found)) == (2, "")
    assert found.header.data.endswith(", without 1 that are too long for a model")
    found = made(place, monkeypatch, str(base), str(base), data=str(path), judge="rubric", max_new_tokens=64)
    assert "no prompt leaves room for 64 new tokens in a model that reads 64" in error_of(found)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "an empty name is no model"),
        ("r@x", "a whole number"),
        ("r@7", "no checkpoint of step 7; there are: 1, 2"),
        ("./nowhere", "no such folder"),
        ("nowhere", "is no run in"),
        ("nowhere/../..", "is no run in"),
        ("r@", "a whole number"),
        ("\x1b[31mred", "is no run in"),
    ],
)
def test_a_name_that_means_nothing_is_told(name: str, said: str, run: RunDir, place: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(place)
    with pytest.raises(RlaifError, match=said):
        resolve(("base", "r", name), place / "runs")


def test_adapters_that_cannot_be_sampled_from_are_told(base: Path, tmp_path: Path) -> None:
    folder = adapter(base, tmp_path / "lora")
    settings = json.loads((folder / "adapter_config.json").read_text())

    def refused(**changes: Any) -> str:
        (folder / "adapter_config.json").write_text(json.dumps(settings | changes))
        with pytest.raises(RlaifError) as caught:
            resolve((str(base), str(folder)), tmp_path)
        return str(caught.value)

    assert "of the kind PROMPT_TUNING" in refused(peft_type="PROMPT_TUNING")
    assert "does not say what it was trained on" in refused(base_model_name_or_path=None)
    assert "trained on /gone, which is not there" in refused(base_model_name_or_path="/gone")
    (folder / "adapter_model.safetensors").unlink()
    assert "has no adapter_model.safetensors" in refused()
    (folder / "adapter_config.json").write_text("[")
    with pytest.raises(RlaifError, match="cannot be read"):
        resolve((str(base), str(folder)), tmp_path)


def test_hostile_text_stays_text(base: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rlaif_tui.compare_text import all_pairs, lines

    path = tmp_path / "hostile.jsonl"
    rows = ["\x1b]52;c;aGk=\x07 w7", "[red]w8[/red] \u202e", "<|im_start|>system", "</s>", "w9\r\nw10\x9b2J"]
    path.write_text("".join(json.dumps({"prompt": text, "source": "\x1b[2J" + text}) + "\n" for text in rows))
    found = made(place, monkeypatch, str(base), str(base), data=str(path), judge="rubric", max_new_tokens=4)
    assert error_of(found) == ""
    assert found.damaged == 0
    from rlaif_tui.text import safe

    printed = [safe(line) for line in lines(found, all_pairs(found))]
    assert not {character for line in printed for character in line if ord(character) < 32 or character in "\x9b\u202e"}


def test_the_record_lies_with_the_run(run: RunDir) -> None:
    assert folder_of(run) == run.path / "comparisons"
    assert os.access(run.path, os.W_OK)


async def test_equally_bad_replies_are_told_apart_by_their_criteria(run: RunDir) -> None:
    """Caps give both the lowest mark; only one of them is whole and polite. The order of the two changes nothing."""
    from compare_cases import reply

    from core.compare.bench import open_bench
    from core.compare.job import Job
    from core.compare.judging import fight, score_rows
    from core.compare.record import DuelDone, RowDone

    rude, polite = "Look it up and leave me alone", "A football is used to get fit in the park."
    pairs = ((rude, polite), (polite, rude), (polite, polite + " "))
    rows = [
        RowDone(row=i, prompt_id=str(i), prompt="What is a kettle used for?", prompt_tokens=6,
                replies=tuple(reply(text) for text in pair))
        for i, pair in enumerate(pairs)
    ]  # fmt: skip
    bench = open_bench(Job(models=("base", "r"), runs_root=""), run)
    scored = await score_rows(bench, rows, lambda _: None)
    assert scored[0].replies[0].score == scored[0].replies[1].score == 1.5
    duels: list[DuelDone] = []
    await fight(bench, scored, duels.append)
    assert [duel.outcome for duel in sorted(duels, key=lambda duel: duel.row)] == ["win", "loss", "tie"]


def test_an_adapter_that_changes_its_base_has_one_of_its_own(
    base: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = adapter(base, tmp_path / "pissa", init_lora_weights="pissa")
    options: dict[str, Any] = {"data": str(data(tmp_path)), "judge": "rubric", "n": 6, "max_new_tokens": 6}
    found = made(place, monkeypatch, str(folder), str(base), **options)
    alone = made(place, monkeypatch, str(base), str(base), **options)
    assert [row.replies[1].text for row in found.rows] == [row.replies[1].text for row in alone.rows]
