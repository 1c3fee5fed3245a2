"""Commands are imported when they are typed, and the person notices nothing of that."""

from __future__ import annotations

import subprocess
import sys

from typer.testing import CliRunner

from rlaif_tui.cli_app import Commands, app

run = CliRunner().invoke


def test_every_command_is_there_with_its_help() -> None:
    text = run(app, ["--help"]).output
    for name in Commands.WHERE:
        assert f"\n  {name} " in text
        assert run(app, [name, "--help"]).exit_code == 0, name
    assert "completion" not in run(app, ["judge", "--help"]).output


def test_a_slip_of_the_finger_is_told_the_nearest_command() -> None:
    result = run(app, ["statu"])
    assert result.exit_code == 2
    assert "No such command 'statu'. Did you mean 'status'?" in result.output


def test_no_command_is_imported_before_it_is_typed() -> None:
    program = (
        "import sys; from rlaif_tui.cli_app import app; from typer.testing import CliRunner\n"
        "CliRunner().invoke(app, ['--version'])\n"
        "print(sorted(m for m in sys.modules if m.startswith('rlaif_tui.cli_')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "['rlaif_tui.cli_app', 'rlaif_tui.cli_common']"
