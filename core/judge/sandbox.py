"""Runs a stranger's prompt template: Jinja2's sandbox, a short list of what may be used, and a budget of work.

The sandbox keeps a template from reaching Python. It does not keep one from running for hours or filling the memory,
so loops, filters, joined texts and output are charged against a budget, and what could not be charged is not there:
macros, includes, most methods, ``**`` and multiplied texts.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, meta, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer

from ..errors import JudgeError
from .sandbox_rules import FILTERS, MAX_TEXT, TESTS, Budget, OverBudgetError, default_to

MAX_SOURCE = 100_000
"""Characters of a template's text."""
MAX_RANGE = 1_000
MAX_NUMBER = 10**15
_BUDGET = "the budget"
"""Key of the context that no template can write: it holds a blank."""
_FORBIDDEN: dict[type[nodes.Node], str] = {
    nodes.Macro: "macro",
    nodes.CallBlock: "call",
    nodes.FilterBlock: "filter block",
    nodes.AssignBlock: "set block",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.Block: "block",
}
METHODS = frozenset({"strip", "lstrip", "rstrip", "lower", "upper", "title", "startswith", "endswith", "splitlines"})
METHODS_OF_MAPPINGS = frozenset({"items", "keys", "values"})


class Sandbox(SandboxedEnvironment):
    """The environment of judge templates. Nothing in it depends on a file."""

    intercepted_binops = frozenset({"+", "-", "*", "%", "**", "//", "/"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, finalize=_shown, optimized=False)
        self.globals = {"range": _range}
        self.filters = {name: _charged(rule) for name, rule in FILTERS.items()} | {"charged": _charged(_same)}
        self.filters["counted"] = _counted
        self.tests = {name: test for name, test in self.tests.items() if name in TESTS}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _refuse(tree)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "counted", [], [], None, None, lineno=loop.lineno)
        return _charge_joined(tree)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic on numbers of a sane size, and ``+`` on texts."""
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return context[_BUDGET].checked(left + right)
        if operator == "**":
            raise TypeError("'**' has no place in a judge template")
        if not (_is_number(left) and _is_number(right)):
            raise TypeError(f"'{operator}' is for numbers here; join texts with '~'")
        result = super().call_binop(context, operator, left, right)
        if abs(result) > MAX_NUMBER:
            raise OverBudgetError("a number in it grows without bounds")
        return result


def _refuse(tree: nodes.Template) -> None:
    """Raise ``TemplateSyntaxError`` for what a judge template may not contain."""
    for node in tree.find_all(nodes.Node):
        if word := _FORBIDDEN.get(type(node)):
            raise _at(node, f"'{word}' has no place in a judge template; use text, if, for and set")
        if isinstance(node, nodes.For) and node.recursive:
            raise _at(node, "a loop may not be recursive")
        if isinstance(node, nodes.Call):
            _refuse_call(node)
        if isinstance(node, nodes.Filter | nodes.Test):
            known, word = (FILTERS, "filter") if isinstance(node, nodes.Filter) else (TESTS, "test")
            if node.name not in known:
                raise _at(node, f"'{node.name}' is not a {word}; {_nearest(node.name, known)}")
        if isinstance(node, nodes.List | nodes.Dict) or (isinstance(node, nodes.Tuple) and node.ctx == "load"):
            _refuse_growth(node)


def _refuse_call(node: nodes.Call) -> None:
    match node.node:
        case nodes.Name(name="range"):
            return
        case nodes.Getattr(attr=attr) if attr in METHODS | METHODS_OF_MAPPINGS:
            return
        case nodes.Getattr(attr=word) | nodes.Name(name=word):
            raise _at(node, f"'{word}' cannot be called here; use a filter, such as {{{{ response | data }}}}")
        case _:
            raise _at(node, "this cannot be called here")


def _refuse_growth(node: nodes.Node) -> None:
    """A list that holds a list that holds a list doubles at every step: literals hold constants only."""
    for child in node.find_all(nodes.Name):
        raise _at(child, f"a list or mapping may hold constants only, not '{child.name}'")


def _charge_joined(tree: nodes.Template) -> nodes.Template:
    class _Joined(NodeTransformer):
        def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 the visitor's own naming
            self.generic_visit(node)
            return nodes.Filter(node, "charged", [], [], None, None, lineno=node.lineno)

    done = _Joined().visit(tree)
    assert isinstance(done, nodes.Template)
    return done


def _at(node: nodes.Node, message: str) -> TemplateSyntaxError:
    return TemplateSyntaxError(message, node.lineno)


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(sorted(known))}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _range(*limits: int) -> range:
    found = range(*limits)
    if len(found) > MAX_RANGE:
        raise OverBudgetError(f"range() may give {MAX_RANGE:,} numbers at most")
    return found


def _charged(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that pays for what it is given and for what it makes; never evaluated before the rendering."""

    @pass_context
    @functools.wraps(rule)
    def filtered(context: Context, value: Any, *arguments: Any) -> Any:
        budget: Budget = context[_BUDGET]
        if isinstance(value, StrictUndefined) and rule is not default_to:
            str(value)  # raises, with the name of what is not there
        return budget.checked(rule(budget.checked(value), *arguments))

    return filtered


@pass_context
def _counted(context: Context, values: Any) -> Iterator[Any]:
    budget: Budget = context[_BUDGET]
    return budget.counted(values)


def _shown(value: Any) -> Any:
    if callable(value) and not isinstance(value, StrictUndefined):
        raise TypeError("a function cannot be printed; write its result")
    return value


def _same(value: Any) -> Any:
    return value


@functools.lru_cache(maxsize=64)
def compiled(source: str) -> Any:
    """The template of a text, in the sandbox. Raises what Jinja2 raises, and ``JudgeError`` for one too long."""
    if len(source) > MAX_SOURCE:
        raise JudgeError(f"over {MAX_SOURCE:,} characters is no prompt template")
    return Sandbox().from_string(source)


@functools.lru_cache(maxsize=64)
def names_in(source: str) -> frozenset[str]:
    """The variables that a template reads. Raises what Jinja2 raises."""
    return frozenset(meta.find_undeclared_variables(Sandbox().parse(source))) - {"range"}


def run(source: str, values: Mapping[str, Any]) -> str:
    """Render ``source`` with ``values``, within the budget. Raises ``JudgeError`` with what is wrong and the line."""
    try:
        template = compiled(source)
        budget, parts, size = Budget(), [], 0
        for part in template.generate({**values, _BUDGET: budget}):
            size += len(part)
            budget.spend(1 + len(part) // 100)
            if size > MAX_TEXT:
                raise OverBudgetError(f"it makes a text of over {MAX_TEXT:,} characters")
            parts.append(part)
        return "".join(parts)
    except Exception as error:  # a template may raise anything: it divides, compares, runs out of stack
        raise JudgeError(sentence_of(error)) from error


def sentence_of(error: Exception) -> str:
    """What is wrong with a template and in which line, in words."""
    line = getattr(error, "lineno", None) or _line_of(error)
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    if isinstance(error, RecursionError | MemoryError | SyntaxError):
        return "it is nested too deeply"
    return f"line {line}: {text}" if line else str(text)


def _line_of(error: Exception) -> int:
    """Jinja2 rewrites tracebacks so that they name the template's lines."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
