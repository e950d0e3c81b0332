"""whyrec's agents: a prompt and the type of its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.answers import Answer


def answer_types() -> dict[str, type[Answer]]:
    """Every answer type of this package by class name: what a prompt's front matter may ask for."""
    import importlib
    import pkgutil

    from agents.answers import Answer

    modules = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    found = [v for m in modules for v in vars(m).values() if isinstance(v, type) and issubclass(v, Answer)]
    return {t.__name__: t for t in found if t is not Answer}
