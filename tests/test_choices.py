"""What is chosen in the app becomes a line of the user's own app.toml; the rest of it stays as they wrote it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rlaif_tui.choices import Choices
from rlaif_tui.settings import Settings, load

OWN = """\
# my settings
theme = "calm-light"   # easy on the eyes

[keys]                 # mine
"runs.resume" = "f5"   # as in the browser
"""


def chosen(file: Path, environment: dict[str, str] | None = None) -> Choices:
    choices = Choices(file, environment or {})
    choices.begin(theme="calm-light", mouse=False)
    return choices


def test_comments_order_and_other_keys_stay(tmp_path: Path) -> None:
    file = tmp_path / "app.toml"
    file.write_text(OWN)
    choices = chosen(file)
    assert not choices.is_due(theme="calm-light", mouse=False)
    assert choices.is_due(theme="ansi-dark", mouse=True)
    assert choices.save(theme="ansi-dark", mouse=True) == ""
    assert not choices.is_due(theme="ansi-dark", mouse=True)
    lines = file.read_text().splitlines()
    assert lines[:2] == ["# my settings", 'theme = "ansi-dark"   # easy on the eyes']
    assert lines[-2:] == OWN.splitlines()[-2:]
    assert load(file, {}) == Settings(theme="ansi-dark", mouse=True, keys={"runs.resume": "f5"})


def test_nothing_chosen_writes_nothing_and_only_what_was_chosen_is_written(tmp_path: Path) -> None:
    file = tmp_path / "config" / "app.toml"
    choices = chosen(file)
    choices.save(theme="calm-light", mouse=False)
    assert not file.exists()
    choices.save(theme="calm-light", mouse=True)
    assert file.read_text() == "mouse = true\n"


def test_a_link_to_a_file_elsewhere_stays_a_link(tmp_path: Path) -> None:
    file, real = tmp_path / "app.toml", tmp_path / "dotfiles.toml"
    real.write_text(OWN)
    file.symlink_to(real)
    chosen(file).save(theme="ansi-light", mouse=False)
    assert file.is_symlink()
    assert 'theme = "ansi-light"   # easy on the eyes' in real.read_text()


@pytest.mark.parametrize("text", ["theme = ", "theme = 1\ntheme = 2", "\x00"])
def test_a_file_that_is_not_toml_is_left_alone_and_that_is_said(tmp_path: Path, text: str) -> None:
    file = tmp_path / "app.toml"
    file.write_text(text)
    assert "theme: for this window only; app.toml is not TOML" in chosen(file).save(theme="ansi-dark", mouse=False)
    assert file.read_text() == text


def test_a_file_that_cannot_be_written_is_told_of_once(tmp_path: Path) -> None:
    (tmp_path / "app.toml").mkdir()
    choices = chosen(tmp_path / "app.toml")
    assert "mouse: for this window only; app.toml cannot be written" in choices.save(theme="calm-light", mouse=True)
    assert not choices.is_due(theme="calm-light", mouse=True)


def test_a_variable_of_the_environment_that_counts_more_is_named(tmp_path: Path) -> None:
    file = tmp_path / "app.toml"
    choices = chosen(file, {"RLAIF_TUI_THEME": "calm-light"})
    said = choices.save(theme="ansi-dark", mouse=False)
    assert said == "kept in app.toml, but RLAIF_TUI_THEME is set and counts more"
    assert file.exists()


def test_without_a_file_nothing_is_kept() -> None:
    choices = Choices(None)
    choices.begin(theme="calm-dark")
    assert not choices.is_due(theme="calm-light")
    assert choices.save(theme="calm-light") == ""
    assert not os.path.exists("app.toml")
