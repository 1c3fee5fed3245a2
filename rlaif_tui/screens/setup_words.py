"""How the setup screen puts things: a key in its row and below the list, the preflight, and what a start will cost."""

from __future__ import annotations

import re
from collections.abc import Sequence

from textual.content import Content

from core.config_schema import Key, toml_value

from ..desks.setup import CHECKS, CheckLine, Preflight
from ..desks.setup_form import ESSENTIAL, Checked, Form, form_keys, group_of, text_of
from ..text import clip, one_line, wrap, wrap_at_most
from ..widgets.rows import Cell, Column
from ..words import span
from .overlay import Line

NOT_RUN = (
    "ctrl+r runs ten checks of this draft: they open the data and the model, ask the judge for two verdicts and make "
    "one dry batch. No weight is changed."
)
HELP: Sequence[Line] = (
    ("draft      ", "What is typed is on disk within a second and comes back; nothing starts before ctrl+g."),
    ("value      ", "As --set takes it: text without quotes, lists and tables as TOML. Bold: not the default."),
    ("preflight  ", "Ten checks in a process of their own; a check that could not be made says which one it needs."),
    (
        "forecast   ",
        "Memory and time from the dry batch of the preflight, — until there was one of this very draft. "
        "Dollars: the judge's prompt, shortest to longest, times its price; from the preflight on as measured.",
    ),
)
_MEASURED = re.compile(r"~\$[\d.]+ for the run(?:, stopped at the cap of \$[\d.]+)?")
"""What the preflight's judge check says of the whole run."""
_MARKS = {True: "✓", False: "✗", None: "–"}
_ASCII_MARKS = {True: "+", False: "x", None: "-"}
_PASSED_ROWS = 2


def shown_keys(checked: Checked, *, everything: bool) -> tuple[Key, ...]:
    """The keys in the list; one that is wrong is never hidden."""
    return tuple(key for key in form_keys() if everything or key.path in ESSENTIAL or key.path in checked.wrong)


def columns_for(keys: Sequence[Key]) -> tuple[Column, ...]:
    """Group, name, value, and what is to say of it."""
    return Column("", 5), Column("key", max(len(key.name) for key in keys)), Column("value"), Column("unit, or wrong")


def key_row(keys: Sequence[Key], at: int, form: Form, checked: Checked) -> tuple[Cell, ...]:
    """One key: its group where that begins, its value, and its unit or what is wrong with it."""
    key = keys[at]
    begins = at == 0 or group_of(keys[at - 1]) != group_of(key)
    text, default = form.texts[key.path], text_of(key, key.default)
    told = Cell(key.unit, "$foreground 75%")
    if sentence := checked.wrong.get(key.path):
        told = Cell("✗ " + (sentence.partition(" is not allowed; it ")[2] or sentence), "bold $text-warning")
    elif text != default:
        told = Cell("  ".join(part for part in (key.unit, f"default {default or 'empty'}") if part), "$foreground 75%")
    return (
        Cell(group_of(key) if begins else "", "bold"),
        Cell(key.name),
        Cell(text or "(empty)", "bold" if text != default else "" if text else "$foreground 75%"),
        told,
    )


def key_help(key: Key, form: Form, checked: Checked) -> str:
    """What the key means, its unit, default and what it allows; and what is wrong with it."""
    facts = [f"unit {key.unit}"] if key.unit else []
    facts += [f"default {toml_value(key.default)}", key.allowed]
    lines = [f"{key.path} = {clip(form.texts[key.path], 200)}", key.meaning, "; ".join(facts)]
    if sentence := checked.wrong.get(key.path):
        lines.append(f"✗ {one_line(sentence)}")
    return "\n".join(lines)


def summary(preflight: Preflight | None, form: Form, elapsed: float) -> str:
    """The preflight in a few words."""
    if preflight is None:
        return "not run"
    passed = sum(line.ok is True for line in preflight.lines)
    failed = sum(line.ok is False for line in preflight.lines)
    words = [f"{passed} of {len(CHECKS)} passed", *([f"{failed} failed"] if failed else [])]
    if preflight.running:
        words.append(f"{preflight.next or 'ending'} {span(elapsed)}")
    elif preflight.problem:
        words.append("cancelled" if preflight.problem == "cancelled" else "broken off")
    if preflight.texts != form.texts:
        words.append("of an earlier draft")
    return ", ".join(words)


def check_lines(preflight: Preflight, width: int, *, ascii_only: bool, whole: bool = False) -> Content:
    """Every check with its evidence; what passed is kept short unless the whole is wanted."""
    parts: list[tuple[str, str]] = []
    marks = _ASCII_MARKS if ascii_only else _MARKS
    for line in preflight.lines:
        style = "bold $text-warning" if line.ok is False else "bold" if line.ok else "$foreground 75%"
        parts.append((f"{marks[line.ok]} {clip(line.name, 14):<14} {line.seconds:6.1f} s\n", style))
        rows = 1000 if whole or line.ok is False else _PASSED_ROWS
        parts += [(f"  {row}\n", "$foreground 85%") for row in wrap_at_most(line.evidence, width - 2, rows)]
        if line.hint:
            parts += [(f"  {row}\n", "$text-warning") for row in wrap(f"-> {line.hint}", width - 2)]
    if preflight.next:
        parts.append((f"… {preflight.next}\n", ""))
    if preflight.problem:
        parts += [(f"{row}\n", "$text-warning") for row in wrap(preflight.problem, width)]
    return Content.assemble(*parts)


def overlay_lines(preflight: Preflight) -> list[Line]:
    """Every check in full, for a page of its own."""
    lines: list[Line] = []
    for line in preflight.lines:
        head = f"{_heads(line)}  "
        lines.append((head, line.evidence))
        if line.hint:
            lines.append((" " * len(head), f"-> {line.hint}"))
    if preflight.problem:
        lines.append(("", preflight.problem))
    return lines or [("", "The first check is under way.")]


def _heads(line: CheckLine) -> str:
    return (
        f"{'ok' if line.ok else 'FAIL' if line.ok is False else '--':<5}{clip(line.name, 14):<15}{line.seconds:6.1f} s"
    )


def forecast(preflight: Preflight | None, form: Form, money: str = "") -> str:
    """Memory, disk and time from the preflight of this very draft, and dollars: as measured there, else ``money``."""
    if preflight is None or preflight.texts != form.texts:
        return f"—; ctrl+r measures memory and time; judge {money or '—'}"
    told = {line.name: line for line in preflight.lines}
    judged = told.get("judge")
    if judged is not None and judged.ok and (measured := _MEASURED.search(judged.evidence)):
        money = measured[0]
    judge = f"; judge {money}" if money else ""
    resources = told.get("resources")
    if resources is None or not resources.ok:
        why = "the preflight is under way" if preflight.running else "the preflight did not get that far"
        return f"—; {why}{judge}"
    return f"{resources.evidence}{judge}"


def start_question(form: Form, preflight: Preflight | None, money: str = "") -> str:
    """All that a start commits to."""
    texts = form.texts
    judge = texts["judge.file"] or f"{texts['judge.backend']} (offline rules)"
    cap = "no cap" if texts["judge.cap_usd"] in ("0", "0.0") else f"cap ${texts['judge.cap_usd']}"
    told = {line.name: line for line in preflight.lines} if preflight and preflight.texts == texts else {}
    lines = [
        f"model     {texts['model.id']}, {texts['model.adapter']}, quantization {texts['model.quantization']}",
        f"data      {texts['data.path']}",
        f"judge     {judge}, {cap}",
        f"steps     {texts['run.steps']}, {texts['rollout.batch_size']} responses each, seed {texts['run.seed']}",
        f"forecast  {forecast(preflight, form, money)}",
    ]
    if "judge" in told and told["judge"].ok:
        lines.append(f"price     {told['judge'].evidence}")
    failed = [line.name for line in told.values() if line.ok is False]
    if failed:
        lines.append(f"✗ the preflight failed at: {', '.join(failed)}")
    return "\n".join(one_line(line) for line in lines)
