"""Prompts to read and to change: by name, edited copies as values or files (docs/prompts.md)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import prompts
from agents.wording import check, read_edited
from graphs.engine.draw import without_ours
from prompts import Prompt
from whyrec.api.shown import cells, facts, whole
from whyrec.errors import UsageError


class PromptText:
    """A prompt, or an edited copy of one, for `whyrec.run(…, prompts=[copy])`. A notebook shows its text.

    Attributes:
        prompt: what it was read as.
    """

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt

    @property
    def name(self) -> str:
        """Which prompt it is, or is a copy of."""
        return self.prompt.name

    @property
    def version(self) -> str:
        """Digest of the text: another word is another version, and a run of it another run."""
        return self.prompt.digest

    @property
    def text(self) -> str:
        """The whole text, front matter included."""
        return self.prompt.text

    def edit(self, old: str, new: str) -> PromptText:
        """A copy with other words; this one stays as it is.

        Args:
            old: words that stand in the text once.
            new: what stands in their place.

        Raises:
            UsageError: the old words are not there, or several times, or the copy cannot take the prompt's place.
        """
        if (times := self.text.count(old) if old else 0) != 1:
            said = "are not there" if not times else f"stand there {times} times; give more of what is around them"
            raise UsageError(f"Words to be edited have to stand in {self.name} once, and {old!r} {said}.")
        return _copy(self.text.replace(old, new), "the edited text")

    def save(self, path: str | Path) -> Path:
        """Write it to a file, which an editor, `whyrec.open_prompt(path)` and `--prompt FILE` take."""
        path = Path(path)
        path.write_text(self.text, encoding="utf-8")
        return path

    def __repr__(self) -> str:
        return f"<{self.name}, version {self.version[:8]}: {self.prompt.description}>"

    def _repr_html_(self) -> str:
        told = {"version": self.version, "answer": f"{self.prompt.answer} ({self.prompt.format})",
                "blanks": ", ".join(self.prompt.variables)}  # fmt: skip
        return facts(self.name, told) + whole(self.text)


class PromptTexts(list[PromptText]):
    """A list that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        return cells(("prompt", "what it is"), [(one.name, without_ours(one.prompt.description)) for one in self])


def open_prompt(name: str | Path) -> PromptText:
    """A prompt by its name (your own copy, if your folder has one), a version of it (PROMPT@TAG), or a file's copy.

    Raises:
        UnknownNameError: there is none of this name; the message lists the known ones.
        UsageError: the file cannot take a prompt's place; says why.
    """
    if isinstance(name, Path) or "@" in name or (name not in prompts.names() and Path(name).is_file()):
        return PromptText(read_edited(Path(name)))
    return PromptText(prompts.own().get(name) or prompts.load(name))


def list_prompts() -> PromptTexts:
    """All prompts, by name: the house's, those of plug-ins and of your own folder."""
    return PromptTexts(map(open_prompt, prompts.names()))


def edited_by(given: Sequence[str | Path | PromptText]) -> dict[str, Prompt]:
    """Edited copies by the name of the prompt each takes the place of.

    Raises:
        UsageError: two are of one prompt, or one is not usable.
    """
    read = [one.prompt if isinstance(one, PromptText) else read_edited(Path(one)) for one in given]
    found = {one.name: one for one in read}
    if len(found) < len(read):
        raise UsageError("Two edited copies are of the same prompt; a run uses one of them.")
    return found


def _copy(written: str, where: str) -> PromptText:
    edited = prompts.parse(written, where=where)
    check(prompts.load(edited.name), edited)
    return PromptText(edited)
