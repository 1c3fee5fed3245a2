"""A report as one HTML file or as Markdown. Here, and nowhere else, text of others becomes part of a page.

Every value that a template writes goes through ``finalize``: keys are masked, control characters made visible; then
Jinja escapes it for HTML, or ``core.markdown`` turns it into words that mean nothing but themselves. Only what a filter
of this module has already made safe passes as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core import markdown
from core.judge.keys import mask

from ..text import safe
from ..word_diff import LEFT_SIGNS, RIGHT_SIGNS, Part
from .blocks import Kind, Report

if TYPE_CHECKING:
    from jinja2 import Environment


class _Done(str):
    """Markdown that is safe already."""

    __slots__ = ()


def render(report: Report, kind: Kind) -> str:
    """The text of the file."""
    return _html(report) if kind == "html" else _markdown(report)


def _html(report: Report) -> str:
    from markupsafe import Markup

    def shown(value: Any) -> Any:
        return value if isinstance(value, Markup) or not isinstance(value, str) else _plain(value)

    environment = _environment(autoescape=True, finalize=shown)
    environment.filters["bare"] = _bare
    return environment.get_template("report.html.jinja").render(report=report) + "\n"


def _markdown(report: Report) -> str:
    def shown(value: Any) -> Any:
        return value if isinstance(value, _Done) or not isinstance(value, str) else markdown.words(_plain(value))

    environment = _environment(autoescape=False, finalize=shown)
    for maker in (markdown.cell, markdown.code, markdown.fence):
        environment.filters[maker.__name__] = _made_by(maker)
    environment.filters["made"] = _Done  # what a macro wrote, whose values went through here one by one
    return environment.get_template("report.md.jinja").render(report=report)


def _made_by(maker: Any) -> Any:
    def make(text: str, *more: str) -> _Done:
        return _Done(maker(_plain(str(text)), *more))

    return make


def _plain(text: str) -> str:
    return safe(mask(text))


def _bare(part: Part) -> str:
    """The words of a marked part without their signs: on a page they are struck out or underlined."""
    text = part.text
    for before, after in (LEFT_SIGNS, RIGHT_SIGNS):
        if part.marked and text.startswith(before) and text.endswith(after):
            return text[len(before) : -len(after)]
    return text


def _environment(*, autoescape: bool, finalize: Any) -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("rlaif_tui.report", ""),
        autoescape=autoescape,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment
