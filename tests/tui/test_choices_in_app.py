"""T and the palette choose a theme; the next window has it."""

from __future__ import annotations

from pathlib import Path

from shell_pilot import SIZES, look, press, told

from rlaif_tui.app import RlaifApp
from rlaif_tui.settings import load


async def test_a_theme_chosen_by_key_or_by_name_is_there_the_next_time(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "app.toml"
    file.write_text('theme = "calm-dark"  # mine\n')
    app = RlaifApp(root, settings=load(file, {}))
    async with app.run_test(size=SIZES[1]) as pilot:
        await look(pilot)
        assert file.read_text() == 'theme = "calm-dark"  # mine\n', "opening the app is no choice"
        await press(pilot, "T")
        by_key = app.theme
        assert by_key != "calm-dark"
        assert file.read_text() == f'theme = "{by_key}"  # mine\n'
        app.theme = "ansi-light"  # what the palette does
        await pilot.press("q")
        await pilot.pause()
    assert load(file, {}).theme == "ansi-light", "also what was chosen just before leaving"


async def test_a_choice_that_cannot_be_kept_is_said(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "app.toml"
    file.write_text("theme = ")
    app = RlaifApp(root, settings=load(file, {}))
    async with app.run_test(size=SIZES[1]) as pilot:
        await look(pilot)
        await press(pilot, "T")
        assert "theme: for this window only; app.toml is not TOML" in told(pilot)
    assert file.read_text() == "theme = "
