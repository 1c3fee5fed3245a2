"""The app as its user has it: in a terminal, from the first key to the last response, over a lost connection."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pty_app import Terminal

from core.commands import Set
from core.compare.record import comparisons
from core.compare.votes import load_votes
from core.events import CommandApplied, Paused, Resumed, RunFinished, StepCompleted
from core.journal import CommandReader, read_events
from core.run_dir import RunDir

# The demo, but of 10 steps of 8 short responses, each as slow as a judge that is asked over a network: a reader has
# time to come back before it is over, however slow the machine, as that slows the steps as well.
SMALL_DEMO = """
import rlaif_tui.starting as starting
from core.config_file import from_dict
from core.presets import PRESETS
starting.demo_config = lambda seed: from_dict(PRESETS["demo"].values, [
    "run.steps=10", "rollout.batch_size=8", "ppo.mini_batch_size=8", "rollout.max_new_tokens=24",
    "data.validation_prompts=8", "judge.delay_s=1.0", f"run.seed={seed}",
], source="the demo of a test")
from rlaif_tui.cli import main
main()
"""


def step_of(screen: str) -> int:
    """The step that the status line is at; 0 before the first."""
    found = re.search(r"(\d+)/10 ", screen)
    return int(found[1]) if found else 0


def braille(screen: str) -> int:
    """How many cells of lines are drawn."""
    return sum("\u2801" <= character <= "\u28ff" for character in screen)


@pytest.mark.slow
def test_a_demo_from_its_first_key_to_its_last_response(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    environment = {"RLAIF_TUI_RUNS": str(folder), "XDG_STATE_HOME": str(tmp_path / "state"), "OMP_NUM_THREADS": "1"}
    with Terminal(code=SMALL_DEMO, environment=environment) as first:
        first.wait_for("No runs yet")
        first.send("d")
        first.wait_for("1/10 ", "2/10 ", "3/10 ")
        before = braille(first.screen())
        seen = first.wait_for("3/10 ", "4/10 ", "5/10 ")
        assert braille(seen) > before, "the lines of the charts grow"
        first.hang_up()
    (run,) = [RunDir(path) for path in folder.iterdir() if not path.name.startswith(".")]
    assert not read_events_of(run, RunFinished), "the run does not care"

    with Terminal(code=SMALL_DEMO, environment=environment) as second:
        seen = second.wait_for("● running")
        assert run.name in seen, "it opens on what was in view"
        assert step_of(seen) >= 3
        second.send(" ")
        second.wait_for("‖ paused")
        second.send("t")
        second.wait_for(f"tune {run.name}")
        second.send("0.2\r")
        second.wait_until_gone(f"tune {run.name}")
        second.wait_for("price 0.2")
        assert [(c.name, c.value) for c in commands(run)] == [("kl_coef", 0.2)]
        assert "kl_coef = 0.2" in [event.detail for event in read_events_of(run, CommandApplied)]
        second.send(" ")
        second.wait_for("● running", "✓ completed")
        second.wait_for("✓ completed")
        kinds = (Paused, Resumed, RunFinished)
        assert [type(event) for event in read_events_of(run, *kinds)] == list(kinds)
        assert [event.step for event in read_events_of(run, StepCompleted)] == list(range(1, 11))

        read_a_reply(second, run)
        vote_blind(second, run)
        write_the_report(second, run)
        second.send("q")
        assert second.end() == 0
        assert b"\x1b[?1049l" in second.raw, "the terminal is back on its own screen"


def read_a_reply(terminal: Terminal, run: RunDir) -> None:
    terminal.send("6")
    terminal.wait_for("replies  newest first")
    terminal.wait_for("▸")  # a row to open
    terminal.send("\r")
    seen = terminal.wait_for("KL by token")
    (answer,) = [line for line in run.rollouts(10).read_text().splitlines() if is_first(line)]
    start = json.loads(answer)["rollout"]["response"].split()[:3]
    assert " ".join(start) in " ".join(seen.replace("│", " ").split())
    terminal.wait_for("[ ] Reply")
    terminal.send("\x1b")  # only once this was heeded may another key follow it
    terminal.wait_until_gone("[ ] Reply")


def vote_blind(terminal: Terminal, run: RunDir) -> None:
    """Base against trained was queued with the demo; its result is there, and a vote on it is kept."""
    terminal.send("7")
    terminal.wait_for("on 8 prompts", "with 8 prompts")
    terminal.send("b")
    pair = terminal.wait_for("BLIND 1 of").partition("BLIND 1 of")[2]
    assert "step 10" not in pair, "nobody is told which side is which"
    assert "base demo" not in pair
    terminal.send("=")
    if "BLIND 2 of" in terminal.wait_for("BLIND 2 of", "your blind votes"):
        terminal.send("\x1b")
    terminal.wait_for("your blind votes")
    terminal.wait_for("you, blind: ")
    terminal.send("q")
    terminal.wait_until_gone("your blind votes")
    (record,) = comparisons(run)
    assert [vote.choice for vote in load_votes(record).standing.values()] == ["tie"]


def write_the_report(terminal: Terminal, run: RunDir) -> None:
    terminal.send("1")
    terminal.wait_for("e Export")
    terminal.send("e")
    terminal.wait_for("report: all of it")
    terminal.send("h")
    terminal.wait_for(".html")
    terminal.send("\r")
    terminal.wait_for("report written")
    (page,) = run.exports.glob("*.html")
    text = page.read_text()
    assert run.name in text
    assert "on 8 prompts" in text or "with 8 prompts" in text


def is_first(line: str) -> bool:
    """Whether this is the first response of its step."""
    known = json.loads(line)
    return bool(known["kind"] == "rollout" and known["rollout"]["row"] == 0)


def read_events_of(run: RunDir, *kinds: type) -> list[Any]:
    return [event for event in read_events(run.events) if isinstance(event, kinds)]


def commands(run: RunDir) -> list[Set]:
    return [line.command for line in CommandReader(run.commands).read() if isinstance(line.command, Set)]
