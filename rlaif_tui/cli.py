"""The ``rlaif-tui`` command: runs what was typed and turns every error into a sentence and an exit code.

Only the standard library is imported before it is certain that ``core`` is ours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path


def main() -> None:
    """Entry of the command: every expected error is one sentence on standard error and a documented exit code."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 open until the end
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if stranger := _strange_core():
        sys.stderr.write(
            f"rlaif-tui: another package named 'core' is in the way, {stranger}; "
            "install rlaif-tui into an environment of its own\n"
        )
        sys.exit(1)
    sys.exit(_run(sys.argv[1:]))


def _strange_core() -> str:
    """Where ``core`` is, unless it is the one beside this package: other packages call themselves so too."""
    import core

    ours = Path(__file__).resolve().parent.parent / "core"
    place = core.__file__ or str(next(iter(core.__path__), "of no file"))
    return "" if Path(place).resolve().parent == ours else place


def _run(arguments: Sequence[str]) -> int:
    from core.errors import RlaifError

    from .cli_app import app
    from .cli_common import ASCII, DEFECT, FAILED, RUNS_DIR, code_of, complain
    from .crash import write_report

    try:
        app(args=_hoist(arguments, RUNS_DIR, ASCII), prog_name="rlaif-tui")
    except RlaifError as error:
        complain(f"rlaif-tui: {error}")
        return code_of(error)
    except BrokenPipeError:
        # The reader of a pipe is gone; what Python would flush at its exit must not complain about that again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        complain(f"rlaif-tui: {f'{error.filename}: ' if error.filename else ''}{error.strerror or error}")
        return FAILED
    except Exception as error:  # noqa: BLE001
        complain(f"rlaif-tui: unexpected {type(error).__name__}: {error}; the report is in {write_report(error)}")
        return DEFECT
    return 0


def _hoist(arguments: Sequence[str], option: str, flag: str | None = None) -> list[str]:
    """The arguments with the global option and flag in front, so that they may stand after the command as well."""
    first: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == option:
            value = next(words, None)
            if value is None:
                rest.append(word)
            else:
                first += [word, value]
        elif word == flag or word.startswith(f"{option}="):
            first.append(word)
        else:
            rest.append(word)
    return [*first, *rest]
