"""The model card of an exported folder: the hub's own reader reads it, and no name can break it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from report_runs import HOSTILE, STEPS, full_run
from typed import make_run

from core.config import RunConfig
from core.config_file import from_dict
from core.events import RolledBack, RunStarted, ValidationCompleted
from core.judge.spec import JudgeSpec
from core.publish.card import card
from core.publish.facts import CardFacts, facts_of
from core.run_dir import RunDir

IDENTITY = {"data_fingerprint": "d" * 64, "versions": {"torch": "2.13.0"}}
PARSER = MarkdownIt("commonmark").enable("table")


def config(**sections: Any) -> RunConfig:
    return from_dict(sections)


def facts(run: RunDir, known: RunConfig, step: int = STEPS) -> CardFacts:
    return facts_of(run, step, known, IDENTITY)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return full_run(tmp_path / "runs", texts=tuple(f"It is the air {i}." for i in range(20)))


def test_a_card_says_what_was_done_and_what_came_of_it(run: RunDir) -> None:
    known = config(model={"id": "mistralai/Mistral-7B-v0.1"}, data={"path": "hf://datasets/org/prompts/train.csv"})
    read = ModelCard(card(facts(run, known), "adapter"))
    assert read.data.to_dict() == {
        "base_model": "mistralai/Mistral-7B-v0.1",
        "datasets": ["org/prompts"],
        "library_name": "peft",
        "license": "other",
        "license_name": "unknown",
        "pipeline_tag": "text-generation",
        "tags": ["rlaif", "reinforcement-learning", "ppo", "rlaif-tui", "lora"],
    }
    text = read.text
    for wanted in (
        "3.00 at step 0 and 7.00 at step 6: a change of +4.00 (95% CI +3.00 to +5.00)", "model 1", "win rate in pairs",
        "1.00 (95% CI", "d" * 64, "LoRA of rank 16", "learning rate 1e-05", "seed: 0", "PeftModel.from_pretrained",
        "`mistralai/Mistral-7B-v0.1`", "license is not known", "hf upload", "rubric", "torch 2.13.0",
        "Nothing here was tested for safety",
    ):  # fmt: skip
        assert wanted in text, wanted
    whole = ModelCard(card(facts(run, known), "merged"))
    assert whole.data.to_dict()["library_name"] == "transformers"
    assert "lora" not in whole.data.to_dict()["tags"]
    assert "PeftModel" not in whole.text


def test_a_card_is_of_its_step_and_of_the_course_that_led_there(tmp_path: Path) -> None:
    start = RunStarted(name="r", total_steps=9, pid=1, host="h", model="demo", judge="rubric", data="demo")
    run = make_run(
        tmp_path,
        "r",
        [
            start,
            ValidationCompleted(step=0, n=8, mean=2.0),
            ValidationCompleted(step=3, n=8, mean=9.0, difference=7.0),
            RolledBack(from_step=4, to_step=2, reason="bad", learning_rate=0.1),
            ValidationCompleted(step=4, n=8, mean=5.0, difference=3.0, ci95=(2.0, 4.0)),
            ValidationCompleted(step=6, n=8, mean=6.0, difference=4.0, ci95=(3.0, 5.0)),
        ],
    )
    assert "5.00 at step 4" in card(facts(run, RunConfig(), 4), "adapter")
    assert "6.00 at step 6" in card(facts(run, RunConfig(), 7), "adapter")
    early = card(facts(run, RunConfig(), 2), "adapter")
    assert "No held-out prompts were scored before and after" in early
    assert "9.00" not in early


def test_the_judge_is_the_one_that_scored_the_step(run: RunDir) -> None:
    from core.judge.spec_file import dump_spec

    (run.judges / "0123456789ab.toml").write_text(
        dump_spec(JudgeSpec(name="second", backend="rubric")), encoding="utf-8"
    )
    from core.events import CommandApplied
    from core.journal import EventLog

    log = EventLog(run)
    log.write(CommandApplied(command_id="j", name="replace_judge", step=5, detail="0123456789ab"))
    log.close()
    assert facts(run, RunConfig(), 4).judge == "rules (rubric)"
    late = facts(run, RunConfig(), 6)
    assert (late.judge, late.judge_version) == ("second (rubric)", "0123456789ab")


def test_the_license_is_the_bases_own_where_it_is_known(run: RunDir, tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    known = config(model={"id": str(base)})
    assert facts(run, known).license == ""
    for said, wanted in (
        ("license: mit", "mit"),
        ("license: [mit, gpl]", ""),
        ('license: "mit\\nevil: x"', ""),
        ("license: {a: b}", ""),
        (": : :", ""),
        ("license: 7", ""),
    ):
        (base / "README.md").write_text(f"---\n{said}\n---\n# Base\n", encoding="utf-8")
        assert facts(run, known).license == wanted, said
    (base / "README.md").write_bytes(b"---\nlicense: mit\n---\n\xff\xfe\x00")
    assert facts(run, known).license in ("", "mit")
    assert facts(run, RunConfig()).license == "apache-2.0"


def test_nothing_private_to_the_machine_is_in_a_card(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "home" / "secret-client" / "my-base"
    base.mkdir(parents=True)
    monkeypatch.setenv("HF_TOKEN", "canary-token-0123456789")
    known = config(model={"id": str(base)}, data={"path": str(tmp_path / "canary-token-0123456789" / "prompts.csv")})
    text = card(facts(run, known), "adapter")
    assert "my-base" in text
    assert "prompts.csv" in text
    assert "secret-client" not in text
    assert str(tmp_path) not in text
    assert "canary-token" not in text
    assert "base_model" not in ModelCard(text).data.to_dict()


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["adapter", "merged"])
def test_no_name_breaks_a_card(tmp_path: Path, name: str, kind: Any) -> None:
    run = full_run(tmp_path / "runs", texts=("a", "b", "c"), word=name)
    made = [
        facts_of(run, STEPS, config(model={"id": f"x{each}"}, data={"path": f"y{each}"}, judge={"file": f"j{each}"}),
                 {"data_fingerprint": each, "versions": {each: each}})
        for each in (name, "plain")
    ]  # fmt: skip
    texts = [card(each, kind) for each in made]
    hostile, plain = (ModelCard(text) for text in texts)
    assert hostile.data.to_dict().keys() - {"base_model"} == plain.data.to_dict().keys() - {"base_model"}
    assert hostile.data.license == "other"
    assert [t for t in texts[0] if not t.isprintable() and t != "\n"] == []
    tokens = [PARSER.parse(card.text) for card in (hostile, plain)]
    shapes = [[token.type for token in each] for each in tokens]
    assert shapes[0] == shapes[1]
    inner = {child.type for token in tokens[0] for child in token.children or ()}
    assert inner <= {"text", "code_inline", "softbreak"}
