"""The screens of the app, by key. One line here makes a screen; its module is loaded when it is first visited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .desks.runs import RunsDesk
from .screens.view import View


@dataclass(frozen=True)
class Ground:
    """What a screen may be built from."""

    runs: RunsDesk
    ascii_only: bool


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
    from .screens.train import TrainScreen

    return TrainScreen(now=ground.runs.now, ascii_only=ground.ascii_only)


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

    return JudgeScreen(JudgeDesk(now=ground.runs.now), ascii_only=ground.ascii_only)


def _samples(ground: Ground) -> View:
    from .desks.samples import SamplesDesk
    from .screens.samples import SamplesScreen

    return SamplesScreen(SamplesDesk(now=ground.runs.now), ascii_only=ground.ascii_only)


PLACES: tuple[Place, ...] = (
    Place("runs", "1", "Runs", _runs, module="rlaif_tui.screens.runs"),
    Place("setup", "2", "Setup", _setup, module="rlaif_tui.screens.setup"),
    Place("data", "3", "Data", _data, module="rlaif_tui.screens.data"),
    Place("judge", "4", "Judge", _judge, module="rlaif_tui.screens.judge"),
    Place("train", "5", "Train", _train, module="rlaif_tui.screens.train"),
    Place("samples", "6", "Samples", _samples, module="rlaif_tui.screens.samples"),
)
