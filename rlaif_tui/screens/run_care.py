"""What is done to a run from the list, each after a question: another name, put away, deleted; and another folder."""

from __future__ import annotations

from core.errors import RlaifError

from ..desks.runs import RunsDesk
from ..text import one_line
from .dialogs import AskChoice, AskText, Choice
from .view import View


async def rename(screen: View, desk: RunsDesk, name: str) -> str:
    """Ask for another name and give it. Returns the run's name afterwards."""
    text = "Commands and attach go by the new name from now on: a-z, 0-9 and '-'."
    wanted = await screen.app.push_screen_wait(AskText(f"rename {name}", text, name))
    if wanted is None or wanted == name:
        return name
    try:
        await desk.rename(desk.run(name), wanted)
    except RlaifError as error:
        _refused(screen, f"{name} was not renamed", error)
        return name
    return wanted


async def remove(screen: View, desk: RunsDesk, name: str) -> bool:
    """Ask whether to put the run away or to delete it, and do so. Whether it is gone."""
    choices = (
        Choice("a", "archive", "archive: it moves to .archive in this folder, nothing is lost"),
        Choice("X", "delete", "delete its log, responses and checkpoints for ever"),
    )
    wanted = await screen.app.push_screen_wait(AskChoice(f"take {name} out of the list", f"Run {name}:", choices))
    try:
        if wanted == "archive":
            place = await desk.archive(desk.run(name))
            screen.notify(f"{one_line(name)} is in {one_line(str(place))}", markup=False)
        elif wanted == "delete":
            await desk.delete(desk.run(name))
            screen.notify(f"{one_line(name)} is deleted", markup=False)
    except RlaifError as error:
        _refused(screen, f"{name} was not {wanted}d", error)
        return False
    return wanted is not None


async def open_folder(screen: View, desk: RunsDesk) -> bool:
    """Ask for another folder of runs. Whether there is one now."""
    wanted = await screen.app.push_screen_wait(AskText("folder of runs", "Show the runs in:", str(desk.root)))
    if wanted is None:
        return False
    try:
        await desk.open_folder(wanted)
    except RlaifError as error:
        _refused(screen, "folder not opened", error)
        return False
    return True


async def demo(screen: View, desk: RunsDesk) -> str:
    """Start the offline demo. Returns the name of its run, empty if it did not start."""
    screen.notify("starting the offline demo…", markup=False)
    try:
        return (await desk.demo()).name
    except RlaifError as error:
        _refused(screen, "the demo did not start", error)
        return ""


def _refused(screen: View, title: str, error: Exception) -> None:
    screen.notify(one_line(str(error)), title=one_line(title), severity="error", markup=False)
