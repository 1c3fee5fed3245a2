"""What the Train screen needs of a run's directory, and what it may ask of the run."""

from __future__ import annotations

import threading
from pathlib import Path

from core.advisor import limits_of
from core.commands import SETTINGS, Command, ReplaceJudge
from core.errors import ConfigError
from core.run_dir import RunDir

from ..background import in_background
from ..feed import log_tail
from ..pins import Pin, toggle
from ..run_facts import RunFacts
from .followed import Followed, Follower

LAST_WORDS = 5
_LINES_READ = 50


class TrainDesk:
    """Reads what the events of a run do not tell."""

    def __init__(self) -> None:
        self._follower: Follower | None = None
        self._looking = threading.Lock()

    async def follow(self, run: RunDir) -> tuple[Followed, ...]:
        """The pinned prompts and what is known of them so far; the next look knows more."""
        return await in_background(self._look, run)

    def _look(self, run: RunDir) -> tuple[Followed, ...]:
        with self._looking:
            if self._follower is None or self._follower.run != run:
                self._follower = Follower(run)
            return self._follower.look()

    async def toggle(self, run: RunDir, pin: Pin) -> bool:
        """Pin a prompt or let go of it; whether it is pinned now. Raises ``RunDirError``."""
        return await in_background(toggle, run, pin)

    async def facts(self, run: RunDir) -> RunFacts:
        """The configuration and the end of the log; what cannot be read is not known."""
        return await in_background(read_facts, run)


def read_facts(run: RunDir) -> RunFacts:
    """See ``TrainDesk.facts``; blocking."""
    words = _last_words(run)
    from core.config_file import load_config

    try:
        config = load_config(run.config)
    except ConfigError:  # the worker says what is wrong with it
        return RunFacts(last_words=words)
    values = {
        "kl_coef": config.ppo.kl_coef,
        "learning_rate": config.ppo.learning_rate,
        "critic_learning_rate": config.ppo.critic_learning_rate,
        "judge_cap_usd": config.judge.cap_usd,
    }
    return RunFacts(
        limits=limits_of(config),
        configured=tuple((name, values[name]) for name in SETTINGS),
        last_words=words,
    )


def _last_words(run: RunDir) -> tuple[str, ...]:
    try:
        lines = log_tail(run.log, _LINES_READ)
    except OSError:
        return ()
    return tuple(line for line in lines if line.strip())[-LAST_WORDS:]


async def ask(run: RunDir, command: Command) -> None:
    """Hand a request to the run. Raises ``RlaifError`` or ``OSError``; the worker answers in the event log."""
    from core.journal import send

    await in_background(send, run, command)


async def replace_judge(run: RunDir, path: str) -> ReplaceJudge:
    """Check a judge, keep it in the run and ask for it. Raises ``JudgeError`` in one sentence, or ``OSError``."""
    return await in_background(_replace_judge, run, path)


def _replace_judge(run: RunDir, path: str) -> ReplaceJudge:
    from core.journal import send
    from core.judge.open import open_spec
    from core.run_judges import offer_judge

    name = str(Path(path).expanduser()) if path.startswith("~") else path
    command = offer_judge(run, open_spec(name), f"judge '{path}'")
    send(run, command)
    return command
