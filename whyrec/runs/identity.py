"""What makes two runs the same run: everything that changes answers, and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import Any

from whyrec.llm.naming.same import same_answers


def canonical(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, tuples as lists, paths as text. Anything else is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON: {value!r}")


@dataclass(frozen=True)
class Identity:
    """What a run is of.

    Attributes:
        graph: name of the workflow.
        data: name of the data set as given; for the reader, the digest below decides.
        data_digest: digest of the corpus.
        model, model_revision: what answers, as `LanguageModel` names it; how it is reached is no part of the digest.
        prompts: prompt name -> digest.
        options: the options that change answers (JSON-able); never concurrency, limits, budgets.
        contents: of options that name files by where they lie, what is in them (option -> digest); it takes their place
            in the digest, so that a folder that was moved is the same run.
        voices: what of who is asked, and how, is not as in every ordinary run (JSON-able): models of single roles, a
            seed. Where it is empty it is no part of the digest.
        data_path: absolute path of the data's files with the reading options, only to find them again from another
            folder; "" for generated data. No part of the digest.
    """

    graph: str
    data: str
    data_digest: str
    model: str
    model_revision: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    voices: Mapping[str, Any] = field(default_factory=dict)
    data_path: str = ""

    @property
    def settings(self) -> str:
        """The part that the digest is made of, as canonical JSON, with options as they were given."""
        told = {**self._told(), "options": dict(self.options)}
        return canonical({**told, "contents": dict(self.contents)} if self.contents else told)

    def _told(self) -> dict[str, Any]:
        return {
            "graph": self.graph,
            "data_digest": self.data_digest,
            "model": same_answers(self.model, self.model_revision),
            "model_revision": self.model_revision,
            "prompts": dict(self.prompts),
            "options": {**self.options, **self.contents},
            **({"voices": dict(self.voices)} if self.voices else {}),
        }

    @cached_property
    def digest(self) -> str:
        """16 hex digits."""
        text = canonical(self._told())
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    @property
    def stem(self) -> str:
        """The run's id without its number: "<graph>-<data>-<first 8 digits>"."""
        place, asked, options = self.data.partition("?")  # options may hold paths of their own: of items, of reviews
        return f"{_slug(self.graph)}-{_slug(PurePath(place).name + asked + options)}-{self.digest[:8]}"

    @property
    def stems(self) -> re.Pattern[str]:
        """Stems of this run, with a number or without: the same files may have been named in other ways."""
        base = _slug(PurePath(self.data.partition("?")[0]).name)
        return re.compile(
            f"(?P<stem>{re.escape(_slug(self.graph))}-{re.escape(base)}[^-]*-{self.digest[:8]})(?:-(?P<number>[0-9]+))?"
        )


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._]+", "_", text.lower()).strip("_.")[:40] or "data"
