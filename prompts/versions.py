"""Versions of prompts that somebody gave a name: `whyrec prompts tag cot_rec/write_review short`.

A version is its text, kept as `$WHYREC_HOME/prompt_versions/PROMPT/TAG.md`, and is written PROMPT@TAG wherever an
edited copy can be named. A name once given stays: to change it, delete the file.
"""

from __future__ import annotations

import re
from pathlib import Path

from prompts.prompt import Prompt, parse, read_file
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import read_settings
from whyrec.sqlite import make_folder

FOLDER = "prompt_versions"
_TAG = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_VERSION = re.compile(r"([a-z0-9_]+/[a-z0-9_]+)@([^/@]+)")


def tag(prompt: Prompt, name: str) -> Path:
    """Keep a prompt's text under a name; the file it is kept in.

    Raises:
        UsageError: the name is none, is taken by another text, or the folder cannot be written.
    """
    if not _TAG.fullmatch(name):
        raise UsageError(
            f"{name[:60]!r} is no name for a version: up to 40 small letters, digits, dots, dashes and underscores."
        )
    path = _folder() / prompt.name / f"{name}.md"
    if path.is_file() and read_file(path) != prompt.text:
        raise UsageError(f"{prompt.name}@{name} is another text already. Take another name, or delete {path}.")
    make_folder(path.parent)
    try:
        path.write_text(prompt.text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error}).") from None
    return path


def tags(prompt: str) -> dict[str, str]:
    """Of a prompt: name of a version -> its digest, sorted."""
    files = sorted((_folder() / prompt).glob("*.md"))
    return {file.stem: parse(read_file(file), where=str(file)).digest for file in files}


def file_of(version: str) -> Path | None:
    """The file of PROMPT@TAG; None where it is not written like one.

    Raises:
        UnknownNameError: there is no such version.
    """
    found = _VERSION.fullmatch(version)
    if found is None or Path(version).is_file():
        return None
    path = _folder() / found[1] / f"{found[2]}.md"
    if not path.is_file():
        known = [f"{found[1]}@{name}" for name in tags(found[1])]
        raise UnknownNameError("version of a prompt", version, known, hint="`whyrec prompts tag` names one.")
    return path


def _folder() -> Path:
    return read_settings().home / FOLDER
