"""Replies of the playground rated by hand: kept with the run's ratings, and counted once the judge has scored them."""

from __future__ import annotations

from core.play.protocol import SIDES, Side
from core.ratings import Origin, Rating, fingerprint, load_ratings, rate
from core.run_dir import RunDir

from .play_state import Exchange

PREFIX = "play:"


def rated_id(exchange: Exchange, side: Side) -> str:
    """Id of a reply within the run's ratings."""
    return f"{PREFIX}{exchange.id}/{side}"


def give(run: RunDir, exchange: Exchange, side: Side, score: float | None) -> None:
    """Keep what this person gives a reply; None takes it back. Raises ``RunDirError``, then nothing was written."""
    text = fingerprint(exchange.reply(side).text)
    rate(run, rated_id(exchange, side), score, text=text, origin=_origin(exchange, side))


def count(run: RunDir, exchange: Exchange) -> None:
    """Set ratings beside what the judge has said since they were given. Raises ``RunDirError`` or ``OSError``."""
    by_id = {rated_id(exchange, side): side for side in SIDES}
    for (id_, _), rating in load_ratings(run).standing.items():
        if id_ in by_id and _is_news(rating, origin := _origin(exchange, by_id[id_])):
            rate(run, id_, rating.score, rating.by, rating.note, text=rating.text, origin=origin)


def _is_news(rating: Rating, origin: Origin) -> bool:
    return origin.judge is not None and (rating.judge, rating.judge_version) != (origin.judge, origin.judge_version)


def _origin(exchange: Exchange, side: Side) -> Origin:
    """The base is the policy before the first step. A typed prompt is known by its text."""
    step = 0 if side == "base" else exchange.step
    prompt_id = PREFIX + fingerprint(exchange.prompt.text)
    score = exchange.reply(side).score
    return Origin(judge=score, step=step, prompt_id=prompt_id, judge_version=exchange.judge_version)
