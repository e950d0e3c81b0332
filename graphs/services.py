"""What a graph may reach: LangGraph's `context_schema`, passed in and never global.

A node names a role ("writer"), not a model, so that one graph can be asked with a teacher and a student, or a
generator and a judge, without knowing which models these are. Everything else it reaches (an embedder, a thought space,
a recommender's states) it names by type: `runtime.context.part(ThoughtSpace)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from whyrec.errors import UnknownNameError

if TYPE_CHECKING:
    from whyrec.llm.model import LanguageModel
    from whyrec.runs import Run

WRITER = "writer"
JUDGE, TEACHER, STUDENT, EXPERT, REASONER = "judge", "teacher", "student", "expert", "reasoner"
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Services:
    """Everything outside its state that a node may use.

    Attributes:
        llms: language models by role.
        parts: whatever else the workflow's `equip` made, at most one of a type.
        run: the run the results go to; nodes read it (its id), only the runner writes.
    """

    llms: Mapping[str, LanguageModel]
    parts: tuple[object, ...] = ()
    run: Run | None = None

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
