"""The screens of the app, by key. One line here makes a screen; its module is loaded when it is first visited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .desks.purse import Purse
from .desks.runs import RunsDesk
from .screens.view import View
from .settings import SPOT_CHECK_EVERY


@dataclass(frozen=True)
class Ground:
    """What a screen may be built from."""

    runs: RunsDesk
    ascii_only: bool
    purse: Purse = field(default_factory=Purse)
    spot_check_every: int = SPOT_CHECK_EVERY
    """Steps between two requests to rate a few fresh replies; 0: none."""


@dataclass(frozen=True)
class Place:
    """A screen that there is."""

    id: str
    key: str
    title: str
    build: Callable[[Ground], View]
    module: str = ""
    """Where its class is, for the check of the user's keys."""


def _runs(ground: Ground) -> View:
    from .screens.runs import RunsScreen

    return RunsScreen(ground.runs, ascii_only=ground.ascii_only)


def _train(ground: Ground) -> View:
    from .desks.checks import ChecksDesk
    from .screens.train import TrainScreen

    checks = ChecksDesk(ground.spot_check_every)
    return TrainScreen(now=ground.runs.now, ascii_only=ground.ascii_only, checks=checks)


def _setup(ground: Ground) -> View:
    from .desks.setup import SetupDesk
    from .screens.setup import SetupScreen

    return SetupScreen(SetupDesk(ground.runs), ascii_only=ground.ascii_only)


def _data(ground: Ground) -> View:
    from .desks.data import DataDesk
    from .screens.data import DataScreen

    return DataScreen(DataDesk(), ascii_only=ground.ascii_only)


def _judge(ground: Ground) -> View:
    from .desks.judge import JudgeDesk
    from .screens.judge import JudgeScreen

    return JudgeScreen(JudgeDesk(now=ground.runs.now, purse=ground.purse), ascii_only=ground.ascii_only)


def _samples(ground: Ground) -> View:
    from .desks.checks import ChecksDesk
    from .desks.samples import SamplesDesk
    from .screens.samples import SamplesScreen

    checks = ChecksDesk(ground.spot_check_every)
    return SamplesScreen(SamplesDesk(now=ground.runs.now, checks=checks), ascii_only=ground.ascii_only)


def _compare(ground: Ground) -> View:
    from .desks.compare import CompareDesk
    from .screens.compare import CompareScreen

    return CompareScreen(CompareDesk(ground.runs), ascii_only=ground.ascii_only)


def _play(ground: Ground) -> View:
    from .desks.play import PlayDesk
    from .screens.play import PlayScreen

    return PlayScreen(PlayDesk(now=ground.runs.now), ascii_only=ground.ascii_only)


PLACES: tuple[Place, ...] = (
    Place("runs", "1", "Runs", _runs, module="rlaif_tui.screens.runs"),
    Place("setup", "2", "Setup", _setup, module="rlaif_tui.screens.setup"),
    Place("data", "3", "Data", _data, module="rlaif_tui.screens.data"),
    Place("judge", "4", "Judge", _judge, module="rlaif_tui.screens.judge"),
    Place("train", "5", "Train", _train, module="rlaif_tui.screens.train"),
    Place("samples", "6", "Samples", _samples, module="rlaif_tui.screens.samples"),
    Place("compare", "7", "Compare", _compare, module="rlaif_tui.screens.compare"),
    Place("play", "8", "Play", _play, module="rlaif_tui.screens.play"),
)
