"""Real workers with a judge behind an API: money, outages, another judge, and kills."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tiny
from forks import WORKER, Forks, forks  # noqa: F401  a fixture
from judge_server import JudgeServer, length_lover, overlap
from test_resume import write_data

from core.commands import ReplaceJudge, Resume, Set
from core.config import RunConfig
from core.config_file import from_dict
from core.events import (
    CanariesScored,
    CommandApplied,
    JudgeReplaced,
    Paused,
    RefereeScored,
    Resumed,
    RunFinished,
    StepCompleted,
    ValidationCompleted,
)
from core.journal import read_events, send
from core.judge.ledger import Ledger
from core.judge.spec import JudgeSpec
from core.judge.spec_file import dump_spec, version_of_spec
from core.rollout_log import read_rollouts
from core.run_dir import RunDir
from core.run_judges import keep_version
from core.types import Verdict
from rlaif_tui.launch import prepare_run

STEPS, ROWS = 5, 6


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge-run")
    tiny.save("mistral", folder / "model")
    write_data(folder)
    return folder


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "key-for-the-local-server")


def spec_for(server: JudgeServer, **values: Any) -> JudgeSpec:
    return JudgeSpec.model_validate(
        {
            "name": "local", "provider": "compatible", "model": "judge-small", "base_url": server.url,
            "price": {"input": 2.0, "output": 10.0},
            "limits": {"attempt_timeout_s": 3.0, "total_timeout_s": 10.0}, **values,
        }
    )  # fmt: skip


def prepare(place: Path, name: str, spec: JudgeSpec, **judge: Any) -> RunDir:
    file = place / f"{name}.toml"
    file.write_text(dump_spec(spec))
    return prepare_run(config(place, file, **judge), place / "runs", name)


def config(place: Path, file: Path, **judge: Any) -> RunConfig:
    return from_dict(
        {
            "model": {"id": str(place / "model"), "lora_rank": 2, "device": "cpu"},
            "data": {"path": str(place / "prompts.csv"), "validation_fraction": 0.2},
            "rollout": {"batch_size": ROWS, "max_new_tokens": 6},
            "judge": {"file": str(file), "cache": "off", **judge},
            "ppo": {"mini_batch_size": 3, "epochs": 1, "learning_rate": 1e-3, "critic_warmup_steps": 0},
            "run": {"steps": STEPS, "checkpoint_every": 2, "keep_checkpoints": 2, "threads": 1},
        }
    )


def start(forks: Forks, run: RunDir) -> int:  # noqa: F811
    return forks.start(WORKER, [run.path, *(["--resume"] if run.events.exists() else [])], run.log)


def events(run: RunDir, *kinds: type) -> list[Any]:
    return [event for event in read_events(run.events) if isinstance(event, kinds)]


def wait_for(run: RunDir, kind: type, count: int = 1, seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if run.events.exists() and len(found := events(run, kind)) >= count:
            return found[count - 1]
        time.sleep(0.02)
    raise AssertionError(f"no {kind.__name__} within {seconds} s: {run.log.read_text()[-2000:]}")


def ending(run: RunDir) -> RunFinished:
    (*_, last) = events(run, RunFinished)
    assert last.outcome == "completed", last.error
    return last  # type: ignore[no-any-return]


def judged(run: RunDir) -> list[Verdict]:
    files = sorted(run.rollouts(1).parent.glob("*.jsonl"))
    results = [result for path in files for result in read_rollouts(path).results.values()]
    assert all(isinstance(r, Verdict) for r in results)
    return [r for r in results if isinstance(r, Verdict)]


def test_at_the_cap_the_run_pauses_and_with_a_higher_one_goes_on(place: Path, forks: Forks) -> None:  # noqa: F811
    with JudgeServer(overlap) as server:
        run = prepare(place, "capped", spec_for(server), cap_usd=0.05)
        child = start(forks, run)
        paused = wait_for(run, Paused)
        assert paused.automatic
        assert "cap of $0.05" in paused.reason
        before = len(server.requests)
        ledger = Ledger(run.judges / "ledger.jsonl")
        assert 0 < ledger.spent_micros <= 50_000
        ledger.close()
        time.sleep(0.3)
        assert len(server.requests) == before  # nothing is sent while it waits
        send(run, Set(name="judge_cap_usd", value=5.0))
        send(run, Resume())
        assert forks.wait(child) == 0, run.log.read_text()[-2000:]
        finished = ending(run)
        verdicts = judged(run)
        # Each rollout was paid for once, also those of the step that met the cap.
        assert Counter(len(v.repeat_scores) for v in verdicts) == {0: len(verdicts)}
        assert len(server.requests) == len(verdicts)
        assert finished.cost_usd == pytest.approx(sum(v.cost_usd for v in verdicts))
        spent_in, spent_out = server.billed
        assert finished.cost_usd == pytest.approx((spent_in * 2 + spent_out * 10) / 1e6, abs=1e-6 * len(verdicts))


def test_an_outage_pauses_and_its_end_changes_nothing(place: Path, forks: Forks) -> None:  # noqa: F811
    with JudgeServer(overlap) as server:
        calm = prepare(place, "calm", spec_for(server))
        assert forks.wait(start(forks, calm)) == 0
        run = prepare(place, "outage", spec_for(server))
        child = start(forks, run)
        wait_for(run, StepCompleted, 2)
        server.always = "503"
        paused = wait_for(run, Paused)
        assert paused.automatic
        assert "does not answer" in paused.reason
        time.sleep(1.0)
        server.always = ""
        send(run, Resume(id="now"))
        assert forks.wait(child) == 0, run.log.read_text()[-2000:]
        assert len(events(run, Resumed)) == 1
        (answer,) = [e for e in events(run, CommandApplied) if e.command_id == "now"]
        assert "asked again now" in answer.detail
        assert ending(run).weights_sha256 == ending(calm).weights_sha256
        assert all(done.metrics.failed == 0 for done in events(run, StepCompleted))


def test_another_judge_after_a_kill_is_still_the_other_judge(place: Path, forks: Forks) -> None:  # noqa: F811
    with JudgeServer(overlap) as first, JudgeServer(length_lover) as second:
        stricter = spec_for(second, name="other")
        version = version_of_spec(stricter)
        runs = [prepare(place, name, spec_for(first)) for name in ("swapped", "swapped-killed")]
        for run in runs:
            keep_version(run, version, stricter)
            send(run, ReplaceJudge(id="swap", version=version))
        whole, killed = runs
        assert forks.wait(start(forks, whole)) == 0, whole.log.read_text()[-2000:]
        child = start(forks, killed)
        wait_for(killed, StepCompleted, 3)
        os.kill(child, signal.SIGKILL)
        forks.wait(child)
        asked = len(first.requests)
        assert forks.wait(start(forks, killed)) == 0, killed.log.read_text()[-2000:]
        assert len(first.requests) == asked  # after the kill the first judge is not asked any more
        for run in runs:
            (replaced,) = events(run, JudgeReplaced)
            assert (replaced.step, replaced.to_version, replaced.name) == (1, version, "other")
            assert {v.judge_version for v in judged_steps(run)} == {version}
            compared = events(run, ValidationCompleted)[-1]
            assert compared.difference is not None
        assert ending(killed).weights_sha256 == ending(whole).weights_sha256
        assert events(killed, ValidationCompleted)[-1].difference == events(whole, ValidationCompleted)[-1].difference


def judged_steps(run: RunDir) -> list[Verdict]:
    files = [run.rollouts(step) for step in range(1, STEPS + 1)]
    return [r for path in files for r in read_rollouts(path).results.values() if isinstance(r, Verdict)]


def test_referee_and_canaries_leave_the_weights_alone(place: Path, forks: Forks) -> None:  # noqa: F811
    with JudgeServer(overlap) as server, JudgeServer(length_lover) as other:
        referee = place / "referee.toml"
        referee.write_text(dump_spec(spec_for(other, name="referee")))
        plain = prepare(place, "plain", spec_for(server))
        assert forks.wait(start(forks, plain)) == 0
        watched = prepare(place, "watched", spec_for(server), referee=str(referee), referee_share=0.5, canary_share=0.4)
        assert forks.wait(start(forks, watched)) == 0, watched.log.read_text()[-2000:]
        assert ending(watched).weights_sha256 == ending(plain).weights_sha256
        told = events(watched, RefereeScored)
        assert sum(each.n for each in told) == len(other.requests) > 0
        assert events(watched, CanariesScored)[-1].seen > 0
        kept = [read_rollouts(watched.rollouts(step)).referee for step in range(1, STEPS + 1)]
        assert sum(len(each) for each in kept) == len(other.requests)
        assert ending(watched).cost_usd > ending(plain).cost_usd
