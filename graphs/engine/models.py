"""Who is asked in a run: a model, other models for single roles, and in whose words.

A workflow names the roles of its nodes (`Workflow.roles`): the writer is the one that every role not named here falls
to. What differs from an ordinary run is part of the run's identity (`Identity.voices`, and the digests of prompts).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.wording import Wording
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.model import LanguageModel
from whyrec.llm.naming.same import same_answers


@dataclass(frozen=True)
class Models:
    """Who is asked.

    Attributes:
        model: the name of a model, or a bare one: everybody's but those of `roles`.
        roles: names of models, or bare ones, by role.
        wording: edited prompts and a seed.
    """

    model: str | LanguageModel
    roles: Mapping[str, str | LanguageModel] = field(default_factory=dict)
    wording: Wording = field(default_factory=Wording)

    def opened(self, known: Sequence[str], graph: str, opener: Callable[[str], LanguageModel]) -> Opened:
        """The models themselves; one that plays several roles is opened once.

        Args:
            known: roles there are.
            graph: the workflow they are of, for messages.
            opener: opens a name.

        Raises:
            UnknownNameError: no such role, or nobody knows a model.
            UsageError: a name, a key or a package is wrong.
        """
        for role in self.roles:
            if role not in known:
                raise UnknownNameError(f"role in {graph}", role, known)
        by_name: dict[str, LanguageModel] = {}

        def one(asked: str | LanguageModel) -> LanguageModel:
            if not isinstance(asked, str):
                return asked
            if asked not in by_name:
                by_name[asked] = opener(asked)
            return by_name[asked]

        model = one(self.model)
        return Opened(model, {role: one(asked) for role, asked in self.roles.items()})


@dataclass(frozen=True)
class Opened:
    """Models that are there: one for all, and those of single roles."""

    model: LanguageModel
    roles: Mapping[str, LanguageModel] = field(default_factory=dict)

    def of(self, role: str) -> LanguageModel:
        """Who plays a role."""
        return self.roles.get(role, self.model)

    @property
    def all(self) -> tuple[LanguageModel, ...]:
        """Each model once, the one for all first."""
        found = {id(model): model for model in (self.model, *self.roles.values())}
        return tuple(found.values())

    async def close(self) -> None:
        """Close each."""
        for model in self.all:
            await model.close()

    def told(self, seed: int, revision: Callable[[LanguageModel], str]) -> dict[str, Any]:
        """What a run's identity says of it (`Identity.voices`): nothing where one model plays all."""

        def who(model: LanguageModel) -> list[str]:
            told = revision(model)
            return [same_answers(model.name, told), told]

        others = {role: who(model) for role, model in sorted(self.roles.items()) if who(model) != who(self.model)}
        return {**({"roles": others} if others else {}), **({"seed": seed} if seed else {})}


def split_models(given: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """(models for all roles, models by role) from `--llm MODEL` and `--llm ROLE=MODEL`, each as typed.

    Raises:
        UsageError: two models for one role.
    """
    plain: list[str] = []
    roles: dict[str, str] = {}
    for text in given:
        role, equals, name = text.partition("=")
        if not (equals and role.isidentifier()):
            plain.append(text)
        elif roles.setdefault(role, name) != name:
            raise UsageError(f"--llm names two models for the role {role}: {roles[role]} and {name}.")
    return plain, roles


def read_models(given: Sequence[str], default: str) -> tuple[str, dict[str, str]]:
    """(model for all, models by role) where one model at most is for all.

    Raises:
        UsageError: two models for all, or for one role, or an empty name.
    """
    plain, roles = split_models(given)
    if "" in given:
        raise UsageError("--llm '' names no model. Leave it out for the default, or see `whyrec llm ls`.")
    if len(plain) > 1:
        raise UsageError(
            f"--llm names {len(plain)} models for all roles ({', '.join(plain)}). Give one, and others by role, as in "
            f"--llm judge={plain[1]}; `whyrec compare` holds models against each other."
        )
    return (plain[0] if plain else default), roles
