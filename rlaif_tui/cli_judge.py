"""``rlaif-tui judge``: write a judge, look at it, test it, and see what it costs, before a run depends on it."""

from __future__ import annotations

import typer

from . import cli_judge_bench, cli_judge_cache, cli_judge_files, cli_judge_models

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="""Write a judge, test it on real responses, and find out whether it can be fooled.

    \b
    First steps:
      rlaif-tui judge init judge.toml                    a commented judge to edit
      rlaif-tui judge show judge.toml                    what would be sent
      rlaif-tui judge score judge.toml --data FILE       scores, spread, reasons, cost
      rlaif-tui judge calibrate judge.toml --data FILE   does it agree with people?
      rlaif-tui judge canaries judge.toml                can it be fooled?
    Then name it in run.toml: judge.file = "judge.toml".
    """,
)
app.command("init")(cli_judge_files.init)
app.command("show")(cli_judge_files.show)
app.command("lint")(cli_judge_files.lint)
app.command("score")(cli_judge_bench.score)
app.command("compare")(cli_judge_bench.compare)
app.command("calibrate")(cli_judge_bench.calibrate)
app.command("canaries")(cli_judge_bench.canaries)
app.command("models")(cli_judge_models.models)
app.command("cache")(cli_judge_cache.cache)
