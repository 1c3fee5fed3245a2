"""Fields of a form, names of files and the judge's editor: what they hold is shown as text."""

from __future__ import annotations

from hostile import COUNT, hidden_in, hostile_texts
from test_hostile import lines
from textual.app import App, ComposeResult

from core.presets import preset
from rlaif_tui.desks.data import Item
from rlaif_tui.desks.setup_form import Checked, check, form_keys, form_of
from rlaif_tui.screens.data_pick import item_cells
from rlaif_tui.screens.setup_words import forecast, key_help, key_row, start_question
from rlaif_tui.text import pad
from rlaif_tui.widgets.judge_editor import JudgeEditor

FIELDS = ("model.id", "data.path", "data.prompt_column", "judge.file", "run.name", "data.system_prompt")
CHECKED_EVERY = 20
"""Of the forms, one in so many is also checked, for the sentences that repeat what is wrong."""


def test_fields_of_a_form_and_names_of_files() -> None:
    blank = form_of(preset("demo"), "")
    keys = [key for key in form_keys() if key.path in FIELDS]
    for number, texts in enumerate(lines()):
        form = blank.changed(dict(zip(FIELDS, texts, strict=True)))
        wrong = Checked(None, dict(zip(FIELDS, texts, strict=True)))
        for checked in (wrong, check(form)) if number % CHECKED_EVERY == 0 else (wrong,):
            for at, key in enumerate(keys):
                assert not hidden_in("".join(pad(cell.text, 40) for cell in key_row(keys, at, form, checked))), texts
                assert not hidden_in(key_help(key, form, checked)), texts
        assert not hidden_in(start_question(form, None) + forecast(None, form))
        for text in texts:
            named = item_cells(Item(text, is_folder=False)) + item_cells(Item(text, is_folder=True))
            assert not hidden_in("".join(pad(cell.text, 40) for cell in named)), texts


class Editing(App[None]):
    """The editor alone."""

    def compose(self) -> ComposeResult:
        yield JudgeEditor(id="editor")


async def test_the_editor_of_a_judge_draws_them() -> None:
    async with Editing().run_test(size=(80, 40)) as pilot:
        editor = pilot.app.query_one(JudgeEditor)
        editor.load_text("\n".join(hostile_texts()))
        assert editor.document.line_count >= COUNT
        for line in range(editor.document.line_count):
            assert not hidden_in(editor.get_line(line).plain.replace("\t", " ")), line
        for line in range(0, editor.document.line_count, 2_000):
            editor.move_cursor((line, 0))
            await pilot.pause()
            assert not hidden_in("".join(editor.render_line(y).text for y in range(editor.size.height)))
