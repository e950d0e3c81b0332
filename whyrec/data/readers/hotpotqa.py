"""HotpotQA (Yang et al., EMNLP 2018): the official JSON files, a list of entries, plain or .gz.

A folder may hold several parts; `part` (dev or train) and `setting` (distractor or fullwiki) choose one. In the
distractor setting, the default, every proving paragraph is among those given; in fullwiki mostly not, so the two are
never mixed. `questions=N` keeps the first N.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whyrec.data.questions import Paragraph, Question, Questions, Solution
from whyrec.data.readers.files import read_bytes
from whyrec.data.readers.jsonlines import Mended, may_have_halves, shown, whole_characters
from whyrec.errors import UsageError

NAME = "hotpotqa"
OPTIONS = ("part", "setting", "questions")
_FILE = re.compile(r"hotpot_(?P<part>dev|train)(?:_(?P<setting>distractor|fullwiki))?(?:_[\w.-]+?)?\.json(?:\.gz)?")
_CHOICES = {"part": ("dev", "train"), "setting": ("distractor", "fullwiki")}


def recognise(path: Path) -> bool:
    """A file of that name, or a folder with one."""
    return any(_FILE.fullmatch(p.name) for p in ([path] if path.is_file() else sorted(path.iterdir())))


def read(path: Path, options: Mapping[str, str]) -> Questions:
    """The questions of one part. The name is left to the caller.

    Raises:
        UsageError: an option is wrong, there is no such file, or an entry is malformed (named by number and id).
    """
    file = path if path.is_file() else _choose(path, options)
    most = options.get("questions", "")
    if most and not (most.isdecimal() and int(most)):
        raise UsageError(f"questions is a whole number above 0, as in questions=100, not {most!r}.")
    try:
        raw = read_bytes(file)
        entries = json.loads(raw)
    except (ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise UsageError(f"{file} is not JSON ({why}). Download it again.") from None
    if not isinstance(entries, list):
        raise UsageError(f"{file} is not a list of questions, as the official files of HotpotQA are.")
    halves = may_have_halves(raw)
    read_entries = [_Entry(file, i, e, halves=halves) for i, e in enumerate(entries[: int(most) if most else None], 1)]
    questions = tuple(entry.question() for entry in read_entries)
    first: dict[str, int] = {}
    for entry, question in zip(read_entries, questions, strict=True):
        if first.setdefault(question.id, entry.number) != entry.number:
            raise entry.wrong(f"its _id is also that of entry {first[question.id]}")
    solutions = tuple(entry.solution() for entry in read_entries)
    mended = Mended(sum(entry.mended for entry in read_entries))
    return Questions(str(path), questions, solutions, notes=mended.notes())


def _choose(folder: Path, options: Mapping[str, str]) -> Path:
    """The one file of the wanted part and setting; the first by name if there are several."""
    wanted = {name: options.get(name, known[0]) for name, known in _CHOICES.items()}
    for name, value in wanted.items():
        if value not in _CHOICES[name]:
            raise UsageError(f"{name} of a HotpotQA folder is {' or '.join(_CHOICES[name])}, not {value!r}.")
    for file in sorted(folder.iterdir()):
        found = _FILE.fullmatch(file.name)
        if found and found["part"] == wanted["part"] and (found["setting"] or "distractor") == wanted["setting"]:
            return file
    raise UsageError(
        f"{folder} has no file hotpot_{wanted['part']}_{wanted['setting']}*.json or .json.gz. "
        "Other parts are chosen as in ?part=train or ?setting=fullwiki."
    )


class _Entry:
    """One entry of the list, read with errors that name it."""

    def __init__(self, file: Path, number: int, fields: Any, *, halves: bool) -> None:
        self.file, self.number, self.id = file, number, ""
        if not isinstance(fields, dict):
            raise self.wrong(f"it is {shown(fields)}, not an object")
        found = Mended()
        try:
            self.fields: dict[str, Any] = whole_characters(fields, found) if halves else fields
        except RecursionError:
            raise self.wrong("it is nested too deep") from None
        self.mended = bool(found.records)
        self.id = self.text("_id")

    def wrong(self, what: str) -> UsageError:
        """An error that names file, entry and trouble."""
        of = f" ({self.id})" if self.id else ""
        return UsageError(f"{self.file}, entry {self.number}{of}: {what}.")

    def text(self, name: str, *, needed: bool = True) -> str:
        """A string, "" where it may be missing and is."""
        value = self.fields.get(name)
        if value is None and not needed:
            return ""
        if not isinstance(value, str) or (needed and not value.strip()):
            raise self.wrong(f"{name} is {shown(value)}, where text is expected")
        return str(value).strip()

    def question(self) -> Question:
        """What may be shown."""
        paragraphs = tuple(self._paragraph(p) for p in self._list("context"))
        kind, level = self.text("type", needed=False), self.text("level", needed=False)
        return Question(self.id, " ".join(self.text("question").split()), paragraphs, kind, level)

    def solution(self) -> Solution:
        """What is right."""
        return Solution(self.text("answer"), tuple(self._fact(f) for f in self._list("supporting_facts")))

    def _list(self, name: str) -> list[Any]:
        value = self.fields.get(name)
        if not isinstance(value, list):
            raise self.wrong(f"{name} is {shown(value)}, where a list is expected")
        return list(value)

    def _paragraph(self, value: Any) -> Paragraph:
        match value:
            case [str(title), [*sentences]] if all(isinstance(s, str) for s in sentences):
                return Paragraph(title.strip(), tuple(s.strip() for s in sentences))
        raise self.wrong(f"context holds {shown(value)}, where [title, [sentences]] is expected")

    def _fact(self, value: Any) -> tuple[str, int]:
        match value:
            case [str(title), int(sentence)] if not isinstance(sentence, bool):
                return title.strip(), sentence
        raise self.wrong(f"supporting_facts holds {shown(value)}, where [title, sentence number] is expected")
