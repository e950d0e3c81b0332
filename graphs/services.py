"""What a graph may reach: LangGraph's `context_schema`, passed in and never global.

A node names a role ("writer"), not a model, so that one graph can be asked with a teacher and a student, or a
generator and a judge, without knowing which models these are. Everything else it reaches (an embedder, a thought space,
a recommender's states) it names by type: `runtime.context.part(ThoughtSpace)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from whyrec.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from whyrec.llm.model import LanguageModel
    from whyrec.runs import Run

WRITER = "writer"
JUDGE, TEACHER, STUDENT, EXPERT, REASONER = "judge", "teacher", "student", "expert", "reasoner"
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Scratch:
    """Where nodes may put files when results go to no run. Whoever makes it takes it away, after reading what came out.

    Attributes:
        folder: for the files.
        run: id of the run whose recorded calls an example is made again from, so that all of it is made; "" where the
            example is a rehearsal (an estimate, a debugging session), for which a part may do.
    """

    folder: Path
    run: str = ""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything outside its state that a node may use.

    Attributes:
        llms: language models by role.
        parts: whatever else the workflow's `equip` made, at most one of a type.
        run: the run the results go to; nodes read it (its id), only the runner writes.
        scratch: where files go when there is no run.
    """

    llms: Mapping[str, LanguageModel]
    parts: tuple[object, ...] = ()
    run: Run | None = None
    scratch: Scratch | None = None

    def llm(self, role: str = WRITER) -> LanguageModel:
        """The model that plays this role.

        Raises:
            UnknownNameError: nobody plays it.
        """
        found = self.llms.get(role)
        if found is None:
            raise UnknownNameError(
                "model for the role", role, self.llms, hint="Pass it in Services(llms={role: model})."
            )
        return found

    def part(self, kind: type[P]) -> P:
        """The part of this type.

        Raises:
            UnknownNameError: there is none.
        """
        for part in self.parts:
            if isinstance(part, kind):
                return part
        known = [type(part).__name__ for part in self.parts]
        raise UnknownNameError("part", kind.__name__, known, hint="Pass it in Services(parts=(…,)).")

    def files(self) -> Scratch:
        """Where a node's files go, and of which run they are.

        Raises:
            UsageError: there is neither a run nor a place for files.
        """
        if self.run is not None:
            return Scratch(self.run.folder, self.run.id)
        if self.scratch is None:
            raise UsageError("This graph keeps files between its nodes. Pass Services(…, scratch=Scratch(folder)).")
        return self.scratch
