"""Agreement of judge and person over a run, from everything that was rated by hand: a curve, and when it has drifted.

A point of the curve is Spearman's rank correlation over the newest ``WINDOW`` ratings up to a step, with a bootstrap
interval over prompts. Two signs of drift: the newest window lies significantly below the one before it (Fisher's z with
the variance 1.06 / (n - 3) of Fieller, Hartley and Pearson 1957), or its interval ends below ``RED``, which is where
the judge's bench shows red.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .judge.workbench.light import RHO_RED as RED
from .judge.workbench.resampling import Figure, bootstrapped, members, nothing
from .ratings import Rating, fingerprint, load_ratings, ratings_file
from .rollout_log import Recorded, read_rollouts
from .run_dir import RunDir
from .types import Verdict

WINDOW = 20
ENOUGH = 10
"""Ratings below which a correlation is shown but nothing is made of it: at a true 0.75 ten draws give 0.20 to 0.94."""
FEWEST = 5
"""Ratings below which there is no figure."""
MOST_POINTS = 12
"""Points of the curve that get an interval: more could not be told apart."""
SIGNIFICANT_Z = 1.96
_HELD_OUT = "validation:"


@dataclass(frozen=True, order=True)
class Pair:
    """A reply that has both scores, in the order of ``step``, then of ``time``."""

    step: int
    time: float
    rating: float
    score: float
    """The judge's, 0 to 10."""
    prompt_id: str


@dataclass(frozen=True)
class Window:
    """The newest ratings up to ``step``."""

    first_step: int
    step: int
    n: int
    rho: Figure

    @property
    def words(self) -> str:
        """The figure for a person."""
        on = f"{self.n} replies of steps {self.first_step} to {self.step}"
        if self.rho.value is None:
            return f"agreement not known yet on {on}: {self.rho.why}"
        interval = f" [{self.rho.ci95[0]:.2f}, {self.rho.ci95[1]:.2f}]" if self.rho.ci95 else ""
        few = ", too few to rely on" if self.n < ENOUGH else ""
        return f"agreement ρ {self.rho.value:.2f}{interval} on {on}{few}"


@dataclass(frozen=True)
class Agreement:
    """The curve, oldest point first, over ratings of one judge."""

    windows: tuple[Window, ...] = ()
    rated: int = 0
    """Replies that both a person and this judge have scored."""
    alarm: str = ""
    """What has drifted, in words; empty if nothing has."""

    @property
    def newest(self) -> Window | None:
        return self.windows[-1] if self.windows else None


NOTHING_RATED = Agreement()


def agreement_of(pairs: Sequence[Pair], since: int = 0, points: int = MOST_POINTS) -> Agreement:
    """The curve over the pairs from step ``since`` on: scores of an earlier judge say nothing of this one."""
    known = sorted(pair for pair in pairs if pair.step >= since)
    if not known:
        return NOTHING_RATED
    ends = [at for at in range(1, len(known) + 1) if at == len(known) or known[at].step != known[at - 1].step]
    useful = [end for end in ends if end >= FEWEST] or ends[-1:]
    windows = tuple(_window(tuple(known[max(0, end - WINDOW) : end])) for end in _spread(useful, points))
    return Agreement(windows, len(known), _alarm(known, windows[-1]))


def _spread(ends: list[int], most: int) -> list[int]:
    """At most so many, evenly spread, the last among them, and the first if there are several."""
    if len(ends) <= most or most < 2:
        return ends[-most:]
    return [ends[round(place * (len(ends) - 1) / (most - 1))] for place in range(most)]


@functools.lru_cache(maxsize=256)
def _window(pairs: tuple[Pair, ...]) -> Window:
    return Window(pairs[0].step, pairs[-1].step, len(pairs), _rho(pairs))


def _rho(pairs: Sequence[Pair]) -> Figure:
    """As ``workbench.statistics.spearman``, all resamples of the few rows at once: a curve has many intervals."""
    if len(pairs) < FEWEST:
        return nothing(f"too few ratings, {len(pairs)} of {FEWEST}")
    scores, ratings = [p.score for p in pairs], [p.rating for p in pairs]
    if len(set(scores)) == 1 or len(set(ratings)) == 1:
        return nothing("all the judge's scores are equal" if len(set(scores)) == 1 else "all ratings are equal")
    import numpy as np
    from scipy.stats import spearmanr

    groups = members([p.prompt_id for p in pairs])
    belongs_RC = np.zeros((len(pairs), len(groups)))
    for number, rows in enumerate(groups):
        belongs_RC[rows, number] = 1.0
    below = [_below(np.asarray(side)) for side in (scores, ratings)]

    def resampled(drawn: Any, axis: int) -> Any:
        drawn_SC = np.moveaxis(drawn, axis, -1)
        times_SR = (drawn_SC[..., None] == np.arange(len(groups))).sum(axis=-2) @ belongs_RC.T
        x, y = (times_SR @ side.T for side in below)  # midranks within each resample, but for a constant
        return _weighted_correlation(x, y, times_SR)

    value = float(spearmanr(scores, ratings).statistic)
    return bootstrapped(resampled, len(groups), 0, value, vectorized=True)


def _below(values: Any) -> Any:
    """[i, j]: what value j adds to the midrank of value i."""
    return (values[None, :] < values[:, None]) + 0.5 * (values[None, :] == values[:, None])


def _weighted_correlation(x: Any, y: Any, weights: Any) -> Any:
    """Pearson's correlation along the last axis, NaN where a side does not vary."""
    import numpy as np

    total = weights.sum(axis=-1, keepdims=True)
    dx, dy = (side - (weights * side).sum(axis=-1, keepdims=True) / total for side in (x, y))
    xy, xx, yy = ((weights * a * b).sum(axis=-1) for a, b in ((dx, dy), (dx, dx), (dy, dy)))
    return np.where((xx > 1e-9) & (yy > 1e-9), xy / np.sqrt(np.maximum(xx * yy, 1e-18)), np.nan)


def _alarm(known: Sequence[Pair], newest: Window) -> str:
    now = newest.rho
    if now.value is None or newest.n < ENOUGH:
        return ""
    before = known[: len(known) - newest.n][-WINDOW:]
    then = _window(tuple(before)).rho.value if len(before) >= ENOUGH else None
    if then is not None and fall_z(then, len(before), now.value, newest.n) > SIGNIFICANT_Z:
        return f"agreement of judge and person fell from ρ {then:.2f} to {now.value:.2f}"
    if now.ci95 is not None and now.ci95[1] < RED:
        return f"judge and person agree at ρ {now.value:.2f} only"
    return ""


def fall_z(before: float, n_before: int, now: float, n_now: int) -> float:
    """How many standard errors Spearman's correlation has fallen; each n is above 3."""
    a, b = (math.atanh(max(-0.999, min(0.999, rho))) for rho in (before, now))
    return (a - b) / math.sqrt(1.06 / (n_before - 3) + 1.06 / (n_now - 3))


class AgreementReader:
    """Reads ``ratings.jsonl`` of one run, and of its rollouts what the ratings name; cheap while nothing changes."""

    def __init__(self, run: RunDir, points: int = MOST_POINTS) -> None:
        self._run, self._points = run, points
        self._stamp: tuple[int, int, int] | None = None
        self._since = 0
        self._known: dict[tuple[str, str], Pair] = {}
        """By response and fingerprint, so that a rollout's file is read for a new rating only."""
        self._result = NOTHING_RATED

    def read(self, since: int = 0) -> Agreement:
        """The curve for the judge that scores from step ``since`` on; the same object while nothing has changed."""
        try:
            info = ratings_file(self._run).stat()
        except OSError:
            return self._result
        stamp = info.st_ino, info.st_size, info.st_mtime_ns
        if (stamp, since) == (self._stamp, self._since):
            return self._result
        try:
            ratings = list(load_ratings(self._run).newest().values())
            pairs = self._pairs(ratings)
        except OSError:  # it is tried again at the next look
            return self._result
        self._stamp, self._since = stamp, since
        self._result = agreement_of(pairs, since, self._points)
        return self._result

    def _pairs(self, ratings: Sequence[Rating]) -> list[Pair]:
        files: dict[str, Recorded] = {}
        pairs = []
        for rating in ratings:
            key = rating.rollout_id, rating.text
            known = _own_pair(rating) or self._known.get(key)
            if known is None or known.rating != rating.score:
                known = self._pair_of_rollout(rating, files)
            if known is not None:
                self._known[key] = known
                pairs.append(known)
        return pairs

    def _pair_of_rollout(self, rating: Rating, files: dict[str, Recorded]) -> Pair | None:
        """The rating beside the judge's score in the file of rollouts; None where there is none of this very text."""
        step, id_ = step_of(rating), rating.rollout_id.removeprefix(_HELD_OUT)
        if step is None or rating.score is None or rating.step is not None:  # no rollout, and not scored yet
            return None
        held_out = rating.rollout_id.startswith(_HELD_OUT)
        path = self._run.validation(step) if held_out else self._run.rollouts(step)
        if path.name not in files:
            files[path.name] = read_rollouts(path)
        rollout, result = files[path.name].rollouts.get(id_), files[path.name].results.get(id_)
        if rollout is None or not isinstance(result, Verdict):
            return None
        if rating.text not in ("", fingerprint(rollout.response)):
            return None
        return Pair(step, rating.time, rating.score, result.score, rollout.prompt.id)


def step_of(rating: Rating) -> int | None:
    """Step of the policy that wrote the rated reply; None where nothing tells."""
    if rating.step is not None:
        return rating.step
    step, dash, _ = rating.rollout_id.removeprefix(_HELD_OUT).partition("-")
    return int(step) if dash and step.isdecimal() and len(step) <= 12 else None


def _own_pair(rating: Rating) -> Pair | None:
    """Of a rating that brings the judge's score itself."""
    if rating.score is None or rating.judge is None or rating.step is None:
        return None
    return Pair(rating.step, rating.time, rating.score, rating.judge, rating.prompt_id)
