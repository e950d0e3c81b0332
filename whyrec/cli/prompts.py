"""`whyrec prompts`: list, show, render and check what we say to models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import typer

from whyrec.errors import UsageError

if TYPE_CHECKING:
    from whyrec.data import SplitView

app = typer.Typer(help="The prompts: what we say to models.", no_args_is_help=True)

_LAST_EVENTS = 10
_SHOWN_CANDIDATES = 5


@app.command("ls")
def list_prompts() -> None:
    """List every prompt with its version, its answer type and its blanks."""
    from rich.console import Console
    from rich.table import Table

    import prompts

    table = Table("prompt", "version", "answer", "blanks", "what it is", box=None, pad_edge=False)
    for prompt in map(prompts.load, prompts.names()):
        answer = f"{prompt.answer} ({prompt.format})"
        table.add_row(prompt.name, prompt.digest[:8], answer, ", ".join(prompt.variables), prompt.description)
    Console().print(table)


@app.command()
def show(
    name: str = typer.Argument(help="The prompt, such as cot_rec/summarise_batch."),
    render: str = typer.Option("", metavar="USER", help="Fill the blanks for this user of the data set."),
    data: str = typer.Option("world", help="The data set the user belongs to."),
    split: str = typer.Option("valid", help="Whose history may be seen: train, valid or test."),
) -> None:
    """Print a prompt's text, or what a model would be told about a user."""
    import prompts

    prompt = prompts.load(name)
    if not render:
        typer.echo(prompt.text.rstrip("\n"))
        return
    from whyrec.data import SplitView, load
    from whyrec.records import Split

    if split not in get_args(Split):
        raise UsageError(f"There is no split {split!r}. Splits are {', '.join(get_args(Split))}.")
    view = SplitView(load(data), cast(Split, split))
    values = _fill(name, view, render)
    if unknown := sorted(prompt.variables.keys() - values.keys()):
        raise UsageError(f"`show --render` has nothing to put into {', '.join(unknown)} of {name}.")
    for message in prompt.render(**{blank: values[blank] for blank in prompt.variables}):
        typer.secho(f"--- {message.role}", bold=True)
        typer.echo(message.content)


@app.command()
def lint(
    files: list[Path] = typer.Argument(None, help="Prompt files; all of the house's if none is named."),
) -> None:
    """Check prompts and their answer types; exit code 1 if anything is wrong."""
    import prompts
    from prompts.prompt import FOLDER

    paths = files or [FOLDER / f"{name}.md" for name in prompts.names()]
    said = [line for path in paths for line in _complaints(path)]
    for line in said:
        typer.echo(line)
    typer.echo(f"{len(paths)} prompts checked, {len(said)} complaints.")
    raise typer.Exit(1 if said else 0)


def _complaints(path: Path) -> list[str]:
    """Everything wrong with one file, its answer type included."""
    import prompts
    from agents import answer_types
    from agents.answers import complaints
    from prompts.lint import lint as lint_text

    if not path.is_file():
        raise UsageError(f"There is no prompt file {path}. `whyrec prompts ls` lists the prompts.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        return [f"{path}: it is not UTF-8 text ({error.reason} at byte {error.start})."]
    said = lint_text(text, where=str(path))
    try:
        prompt = prompts.parse(text, where=str(path))
    except UsageError:
        return said
    known = answer_types()
    if prompt.answer not in known:
        return [*said, f"{path}: its answer type {prompt.answer!r} is unknown. Known: {', '.join(sorted(known))}."]
    static = "\n".join((*(m.content for m in prompt.opening), prompt.body))
    return said + [f"{path}: {c}." for c in complaints(known[prompt.answer], prompt.format, static)]


def _fill(name: str, view: SplitView, user: str) -> dict[str, Any]:
    """A value for every usual blank: the user's own data, and stand-ins for what earlier steps would say."""
    corpus = view.corpus
    index = corpus.user_index.get(user)
    if index is None or index not in set(view.users.tolist()):
        some = ", ".join(str(corpus.user_ids[int(u)]) for u in view.users[:5])
        raise UsageError(
            f"{corpus.name} has no user {user!r} with a {view.split} history. Users with one are {some}, …"
        )
    history = view.example(index, last=_LAST_EVENTS).history
    candidates = [corpus.item(i) for i in range(1, min(_SHOWN_CANDIDATES, corpus.n_items) + 1)]
    said = {"summary": "(what an earlier step said)", "keywords": ["(its keywords)"]}
    return {
        "domain": corpus.name,
        "history": history,
        "item": history[-1].item,
        "candidates": candidates,
        "long": said,
        "short": said,
        "preference": said,
        "reviews": [{"id": c.index, "text": "(what an earlier step said)"} for c in candidates],
        "reasons": [{"id": i, "text": "(what an earlier step said)"} for i in (1, 2, 3)],
        "review": "(what an earlier step said)",
        "options": candidates,
        "similar": history[:3],
        **dict.fromkeys(("reason", "opinion", "thoughts", "thought", "performance"), "(what an earlier step said)"),
        "profile": "",
        "above": "3",
        "paths": ["(a first step) → (a last step)"],
        "steps": ["(a first step)", "(a last step)"] if name.startswith("scoter/") else [],
        "question": "(a question)",
        "paragraphs": [{"title": "(a title)", "text": "(its sentences)"}],
        "number": 1,
        "most": 7,
    }
