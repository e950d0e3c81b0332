"""`whyrec llm check MODEL --fitness`: ten known questions per form of answer, the cost said first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from whyrec.settings import Settings
    from whyrec.workbench.fitness.asking import Fit


def show_fitness(name: str, *, settings: Settings, console: Console) -> None:
    """Say what it will cost, ask, and print the table and the verdict.

    Raises:
        UsageError: the model cannot be opened, or did not answer.
    """
    import asyncio

    from whyrec.errors import UsageError
    from whyrec.llm.model import ModelError
    from whyrec.workbench.fitness.verdict import verdict

    console.print(f"\n{_cost(name, settings)}", soft_wrap=True, highlight=False)
    try:
        fits = asyncio.run(_try(name, settings))
    except ModelError as error:
        raise UsageError(str(error)) from None
    _print(fits, console)
    console.print(verdict(fits), soft_wrap=True, highlight=False)


def _cost(name: str, settings: Settings) -> str:
    """What the questions will take: once each, and at most, where every note is asked again."""
    from whyrec.llm.model import Usage
    from whyrec.llm.prices import price_of
    from whyrec.workbench.fitness.asking import first_questions, tokens_of

    asked = first_questions()
    read, written = tokens_of(asked)
    price = price_of(name, home=settings.home)
    # a repair reads the question again with the wrong answer behind it
    if price is None:
        money = "at a price nobody wrote down"
    else:
        money = "free" if price.free else f"at most ${price.most(Usage(2 * read + written, 2 * written)):.4f}"
    return (
        f"Fitness: {len(asked)} known questions, some {read:,} tokens to read and up to {written:,} to write, twice "
        f"that where every answer has to be repaired: {money}."
    )


async def _try(name: str, settings: Settings) -> list[Fit]:
    from whyrec.llm.opening import open as open_model
    from whyrec.workbench.fitness.asking import try_forms

    model = open_model(name, settings=settings, cache=False)
    try:
        return await try_forms(model)
    finally:
        await model.close()


def _print(fits: list[Fit], console: Console) -> None:
    from rich.markup import escape
    from rich.table import Table

    from whyrec.workbench.fitness.verdict import is_fit

    table = Table("answer form", "usable", "after a repair", "right", "fit", "why not", box=None, pad_edge=False)
    for fit in fits:
        fits_well = "[green]yes[/]" if is_fit(fit) else "[red]no[/]"
        usable, right = f"{fit.usable} of {fit.asked}", f"{fit.right} of {fit.asked}"
        why = escape(fit.lost[0][:160]) if fit.lost else ""
        table.add_row(fit.form, usable, str(fit.repaired), right, fits_well, why)
    console.print(table)
