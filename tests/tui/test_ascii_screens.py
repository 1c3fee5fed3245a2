"""No screen needs more than ASCII for what is ours, and a key is named where its sign would be taken for another."""

from __future__ import annotations

from pathlib import Path

from samples_runs import sampled_run
from shell_pilot import SIZES, both_sizes, look, press, read_until
from tui_logs import T0

from rlaif_tui.app import RlaifApp


@both_sizes
async def test_every_screen_is_ascii_when_asked_to(root: Path, size: tuple[int, int]) -> None:
    run = sampled_run(root)
    app = RlaifApp(root, run, ascii_only=True, now=lambda: T0 + 60)
    async with app.run_test(size=size) as pilot:
        await look(pilot)
        for place in app._places.values():
            text = await press(pilot, place.key)
            assert f"[{place.key} {place.title}]" in text
            assert text.isascii(), [line for line in text.splitlines() if not line.isascii()]
            await pilot.press("question_mark")
            text = await read_until(pilot, "help: ")
            assert text.isascii(), [line for line in text.splitlines() if not line.isascii()]
            await pilot.press("escape")
        await press(pilot, "5", "l")
        assert (await look(pilot)).isascii()
        await pilot.press("escape", "colon")
        assert (await look(pilot)).isascii()


async def test_arrow_keys_have_names(root: Path) -> None:
    async with RlaifApp(root, sampled_run(root), ascii_only=True, now=lambda: T0 + 60).run_test(
        size=(160, 40)
    ) as pilot:
        text = await press(pilot, "5")
        assert "left right Read" in text
        assert "< > Event" in text or "Event" not in text


async def test_without_the_wish_there_are_boxes(root: Path) -> None:
    async with RlaifApp(root, sampled_run(root), now=lambda: T0 + 60).run_test(size=SIZES[0]) as pilot:
        assert not (await look(pilot)).isascii()
