"""The bundled demo: its text, its prompts, its model, and that the script that made them works."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.demo import MODEL_DIR, PROMPTS_CSV, build, corpus

CHAT = [{"role": "user", "content": "What is a kettle used for?"}]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(MODEL_DIR)


@pytest.fixture(scope="module")
def model() -> Any:
    return AutoModelForCausalLM.from_pretrained(MODEL_DIR).eval()


@pytest.fixture(scope="module")
def prompts() -> list[dict[str, str]]:
    with PROMPTS_CSV.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def first(n: int, seed: int = 3) -> list[corpus.Sample]:
    return list(itertools.islice(corpus.samples(seed), n))


def test_the_corpus_is_deterministic() -> None:
    assert first(300) == first(300)
    assert first(300) != first(300, seed=4)
    assert corpus.prompts() == corpus.prompts()


def test_every_subject_gets_the_same_mix_of_styles() -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    held_out = {facts["name"] for facts in corpus.subjects() if facts["split"] == "validation"}
    for sample in first(40_000):
        counts["held out" if sample.subject in held_out else "seen"][sample.style] += 1
    for style, share in corpus.STYLES.items():
        for side in counts.values():
            # At least 7,000 draws a side: standard error below .005.
            assert side[style] / side.total() == pytest.approx(share, abs=0.02)


def test_answers_are_cut_at_word_boundaries_and_hold_no_open_slots() -> None:
    vocabulary = {word for s in first(20_000) if s.style != "cut_off" for word in s.answer.split()}
    for sample in first(3_000, seed=9):
        assert not set("{}") & set(sample.answer + sample.prompt)
        if sample.style == "cut_off":
            assert {w.rstrip(",.:") for w in sample.answer.split()} <= {w.rstrip(",.:") for w in vocabulary}


def test_there_are_at_least_forty_subjects_with_every_fact() -> None:
    assert len({facts["name"] for facts in corpus.subjects()}) == len(corpus.subjects()) >= 40
    for facts in corpus.subjects():
        assert all(facts.values()), facts["name"]
        assert None not in facts, facts["name"]  # a row with too many cells


def test_the_prompts_are_varied_and_the_splits_share_no_subject(prompts: list[dict[str, str]]) -> None:
    split = {s: [p for p in prompts if p["split"] == s] for s in ("train", "validation")}
    assert len(prompts) == len(split["train"]) + len(split["validation"]) >= 300
    assert len(split["validation"]) >= 64
    assert not {p["subject"] for p in split["train"]} & {p["subject"] for p in split["validation"]}
    assert len({p["prompt"].casefold() for p in prompts}) == len(prompts)
    assert all(p["subject"].split()[-1] in p["prompt"] or p["subject"] == "lawn mower" for p in prompts)


def test_the_csv_is_what_the_corpus_gives(tmp_path: Path) -> None:
    corpus.write_prompts(tmp_path / "prompts.csv")
    assert (tmp_path / "prompts.csv").read_bytes() == PROMPTS_CSV.read_bytes()


def test_the_model_is_small_and_as_recorded(model: Any) -> None:
    record = json.loads((MODEL_DIR / "training.json").read_text(encoding="utf-8"))
    weights = MODEL_DIR / "model.safetensors"
    assert weights.stat().st_size == record["weights_bytes"] <= 8 * 2**20
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == record["weights_sha256"]
    assert model.config.model_type == "mistral"
    assert 1_000_000 <= sum(p.numel() for p in model.parameters()) == record["parameters"] <= 4_000_000
    assert record["steps"] >= 1_500
    assert record["final_loss"] == record["loss"][-1][1] < record["loss"][0][1]
    assert {"seed", "answer_tokens", "cpu_seconds", "versions"} <= record.keys()


def test_the_template_is_zephyr_style(tokenizer: Any) -> None:
    chat = [{"role": "system", "content": "Be kind."}, *CHAT, {"role": "assistant", "content": "Tea."}]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == (
        "<|system|>\nBe kind.</s>\n<|user|>\nWhat is a kettle used for?</s>\n<|assistant|>\nTea.</s>\n"
    )
    asked = tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    assert asked == "<|user|>\nWhat is a kettle used for?</s>\n<|assistant|>\n"


def test_the_tokenizer_keeps_any_text_and_pads_with_a_token_of_its_own(tokenizer: Any) -> None:
    assert len({tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id}) == 4
    assert tokenizer.pad_token_id is not None
    for text in ("A kettle boils.", "Zürich, 12 °C — naïve 東京 🙂", "  two  blanks\n"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    assert tokenizer.encode("kettle") == tokenizer.encode("kettle", add_special_tokens=False)


def test_config_and_tokenizer_agree(model: Any, tokenizer: Any) -> None:
    for config in (model.config, model.generation_config):
        assert (config.eos_token_id, config.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)
    assert model.config.vocab_size == len(tokenizer)


def answer_tokens(model: Any, tokenizer: Any, questions: list[str]) -> list[list[int]]:
    texts = [
        tokenizer.apply_chat_template([{"role": "user", "content": q}], tokenize=False, add_generation_prompt=True)
        for q in questions
    ]
    ids = tokenizer(texts, return_tensors="pt", padding=True, return_token_type_ids=False)
    torch.manual_seed(0)
    with torch.no_grad():
        out = model.generate(**ids, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=64)
    return out[:, ids["input_ids"].shape[1] :].tolist()


def test_samples_are_on_the_subject_and_most_end_by_themselves(
    model: Any, tokenizer: Any, prompts: list[dict[str, str]]
) -> None:
    asked = [p for p in prompts if p["split"] == "validation"][::2][:32]
    tokens = answer_tokens(model, tokenizer, [p["prompt"] for p in asked])
    ended = [row for row in tokens if tokenizer.eos_token_id in row]
    assert len(ended) > 0.8 * len(tokens)
    texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
    # 42 in 100 styles may leave the subject out (curt, rude, aside, another subject); by chance one in fifty hits it.
    named = sum(p["subject"] in text.lower() for p, text in zip(asked, texts, strict=True))
    assert named >= 10
    known = {w.strip(".,:?").lower() for s in first(20_000) for w in (s.answer + " " + s.prompt).split()}
    words = [w.strip(".,:?").lower() for text in texts for w in text.split()]
    assert sum(w in known for w in words) > 0.97 * len(words)


def test_the_script_trains_and_writes_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for size, small in {"TOKENIZER_SAMPLES": 400, "CHUNK": 2, "REPORT_EVERY": 2}.items():
        monkeypatch.setattr(build, size, small)
    again = build.build(tmp_path, seed=5, steps=4)
    capsys.readouterr()
    record = build.build(tmp_path, seed=5, steps=4)
    assert record["weights_sha256"] == again["weights_sha256"]
    assert capsys.readouterr().out.count("\n") >= 24  # twelve questions, each with an answer below it
    assert json.loads((tmp_path / "training.json").read_text(encoding="utf-8")) == record
    assert (record["seed"], record["steps"], [step for step, _ in record["loss"]]) == (5, 4, [2, 4])
    assert record["loss"][1][1] < record["loss"][0][1]  # it learns
    AutoModelForCausalLM.from_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).pad_token == "<pad>"


def test_the_loss_counts_the_answer_only(model: Any, tokenizer: Any) -> None:
    question, answer = [5, 300, 301, 302], [310, 311, 2]
    with torch.no_grad():
        found, count = build.batch_loss(model, [(question, answer), (question[:2], answer[1:])], tokenizer.pad_token_id)
        logprobs = []
        for ids, start in (([*question, *answer], 4), ([*question[:2], *answer[1:]], 2)):
            logits_TV = model(input_ids=torch.tensor([ids])).logits[0]
            logprobs += [logits_TV[t - 1].log_softmax(-1)[ids[t]].item() for t in range(start, len(ids))]
    assert count == len(logprobs) == 5
    assert found.item() == pytest.approx(-sum(logprobs) / 5, rel=1e-4)


def test_the_paths_need_no_torch() -> None:
    code = "import sys, core.demo, core.demo.corpus; print('torch' in sys.modules, 'transformers' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]
