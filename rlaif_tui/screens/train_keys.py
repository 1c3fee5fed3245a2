"""The keys of the Train screen and what its figures mean."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from .overlay import Line


def _key(key: str, action: str, words: str, id_: str, tooltip: str, shown: str | None = None) -> Binding:
    return Binding(key, action, words, key_display=shown, id=f"train.{id_}", tooltip=tooltip)


TRAIN_KEYS: list[BindingType] = [
    _key("space", "pause", "Pause", "pause", "wait after this step"),
    _key("space", "go_on", "Go on", "go-on", "go on after a pause"),
    _key("r", "restart", "Resume", "restart", "a new worker goes on from the last checkpoint"),
    _key("x", "stop", "Stop…", "stop", "save a checkpoint and end the worker, after a question"),
    _key("s", "checkpoint", "Save", "checkpoint", "save a checkpoint after this step"),
    _key("t", "tune", "Tune…", "tune", "KL price, learning rates and the judge's cap, from the next step on"),
    _key("c", "page", "Charts", "charts", "the next page of charts"),
    _key("left_square_bracket", "sample(-1)", "Sample", "sample-previous", "the sample before", "["),
    _key("right_square_bracket", "sample(1)", "Sample", "sample-next", "the next sample", "]"),
    _key("p", "pin", "Pin", "pin", "keep this prompt first and follow it, or let go of it"),
    _key("z", "zoom", "Zoom", "zoom", "the pane with the bright frame over the whole screen, and back"),
    _key("w", "warnings", "Warnings", "warnings", "everything that is wrong, with what to do"),
    _key("e", "export", "Export…", "export", "report, metrics or responses as a file"),
    _key("d", "not_now", "Not now", "not-now", "do not ask for ratings again for a while"),
    _key("left", "cursor(-1)", "Read", "read-previous", "read the values of a step, the one before", "←"),
    _key("right", "cursor(1)", "Read", "read-next", "read the values of a step, the next one", "→"),
    _key("J", "judge", "Judge…", "judge", "another judge scores from the next step on"),
    _key("L", "log_scale", "Log scale", "log-scale", "logarithmic axes, and back"),
    _key("plus", "smoothing(1)", "Smooth", "smoother", "a longer moving average, with the raw line", "+"),
    _key("minus", "smoothing(-1)", "Smooth", "rougher", "a shorter moving average", "-"),
    _key("less_than_sign", "event(-1)", "Event", "event-previous", "read the change before", "<"),
    _key("greater_than_sign", "event(1)", "Event", "event-next", "read the next change", ">"),
    Binding("equals_sign", "smoothing(1)", show=False, id="train.smoother-unshifted", tooltip="as +"),
    Binding("enter", "zoom", show=False, id="train.zoom-enter", tooltip="as z"),
    Binding("tab", "pane(1)", show=False, id="train.pane-next", tooltip="the next pane"),
    Binding("shift+tab", "pane(-1)", show=False, id="train.pane-previous", tooltip="the pane before"),
    Binding("escape", "back", show=False, id="train.back", tooltip="ends reading, then zoom, then goes to the runs"),
]  # fmt: skip

TRAIN_HELP: tuple[Line, ...] = (
    ("judge score", "mean of what the judge gave the responses of a step, 0 to 10; it should rise. Faint: after the KL "
     "price. ◆ held-out prompts, ○ the referee"),
    ("KL", "how far the model has moved from where it began, in nats per response; rewards are priced for it"),
    ("policy loss", "what the update of the policy makes smaller; it stays near zero, only jumps are news"),
    ("value loss", "how wrong the critic's guess of the coming reward is; it should fall, then stay low"),
    ("entropy", "how open the choice of the next token is, in nats; a fall to near zero means it says one thing only"),
    ("response length", "mean tokens of a response, faint: the longest 5 %; it should not grow for its own sake"),
    ("clip fraction", "share of tokens whose update was held back by PPO's clipping; above 0.3 the rate is too high"),
    ("explained var.", "how much of the reward the critic foresees: 1 all of it, below 0 less than a constant would"),
    ("judge latency", "seconds from asking to the verdict: half are faster than p50, one in twenty slower than p95"),
    ("judge cost", "dollars since the start of the run; at the cap the run pauses"),
    ("failed", "responses without a verdict, which are never scored as 0; faint: verdicts from the cache"),
    ("judge - referee", "the judge's mean above the second judge's; if it grows, the model learns the judge only"),
    ("bad answers", "what the judge gives to answers known to be bad; it should stay low"),
    ("machine", "GPU: share of time in use, memory of all and of the run, power, heat; without one the worker's CPU "
     "time (100 % is a core), its memory, and what is free. Of a run elsewhere: what its worker told last"),
    ("judge and you", "rank correlation ρ of ratings and the judge's scores, ┬ ┴ its 95 % interval, of 20 at a time"),
    ("length and score", "how far longer responses of a step score higher; near 1 length alone buys the score"),
    ("said twice", "share of a response that it holds twice; faint: what answers to different prompts share"),
    ("ETA", "steps left times the median of the last 20 step times, a range where they differ; none before step 3"),
    ("requests", "space, s, x, t and J ask: the status line shows who asked until the worker has answered"),
)  # fmt: skip
