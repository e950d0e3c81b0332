"""`whyrec prompts`: list, show, render and check what we say to models."""

from __future__ import annotations

from pathlib import Path

import typer

from whyrec.errors import UsageError

app = typer.Typer(help="The prompts: what we say to models.", no_args_is_help=True)


@app.command("ls")
def list_prompts() -> None:
    """List every prompt with its version, its answer type and its blanks."""
    from rich.console import Console
    from rich.table import Table

    import prompts
    from prompts import versions

    table = Table("prompt", "version", "answer", "blanks", "what it is", box=None, pad_edge=False)
    own = prompts.own()
    for prompt in (own.get(name) or prompts.load(name) for name in prompts.names()):
        answer = f"{prompt.answer} ({prompt.format})"
        named = [name for name, digest in versions.tags(prompt.name).items() if digest == prompt.digest]
        version = " ".join([prompt.digest[:8], *named, *(["(your own)"] if prompt.name in own else [])])
        table.add_row(prompt.name, version, answer, ", ".join(prompt.variables), prompt.description)
    Console().print(table)


@app.command("tag")
def name_version(
    prompt: str = typer.Argument(help="The prompt as it stands now (your own copy, if you have one), or a file."),
    name: str = typer.Argument(help="A name for this version; PROMPT@NAME then stands for its text."),
) -> None:
    """Give a version of a prompt a name, so that it can be run and compared after the file has changed."""
    import prompts
    from agents.wording import read_edited
    from prompts import versions

    text = read_edited(Path(prompt)) if Path(prompt).is_file() else prompts.own().get(prompt) or prompts.load(prompt)
    path = versions.tag(text, name)
    typer.echo(f"{text.name}@{name} is the version {text.digest[:8]}, kept in {path}.")


@app.command()
def show(
    name: str = typer.Argument(help="The prompt, such as cot_rec/summarise_batch, or a version of it, PROMPT@TAG."),
    render: str = typer.Option("", metavar="USER", help="Fill the blanks for this user of the data set."),
    data: str = typer.Option("world", help="The data set the user belongs to."),
    split: str = typer.Option("valid", help="Whose history may be seen: train, valid or test."),
) -> None:
    """Print a prompt's text, or what a model would be told about a user."""
    import prompts
    from agents.wording import read_edited

    prompt = read_edited(Path(name)) if "@" in name else prompts.own().get(name) or prompts.load(name)
    if not render:
        typer.echo(prompt.text.rstrip("\n"))
        return
    from whyrec.settings import read_settings
    from whyrec.workbench.rendering import rendered

    for message in rendered(prompt, user=render, data=data, split=split, settings=read_settings()):
        typer.secho(f"--- {message.role}", bold=True)
        typer.echo(message.content)


@app.command()
def lint(
    files: list[Path] = typer.Argument(None, help="Prompt files; all of the house's if none is named."),
) -> None:
    """Check prompts and their answer types; exit code 1 if anything is wrong."""
    import prompts
    from prompts.prompt import FOLDER

    paths = files or [FOLDER / f"{name}.md" for name in prompts.house_names()]
    said = [line for path in paths for line in _complaints(path)]
    for line in said:
        typer.echo(line)
    typer.echo(f"{len(paths)} prompts checked, {len(said)} complaints.")
    raise typer.Exit(1 if said else 0)


@app.command("diff")
def diff(
    a: str = typer.Argument(help="A file, a prompt's name (as it stands), the beginning of a digest, or a run."),
    b: str = typer.Argument(help="Another; a run means the version of the first prompt that it used."),
) -> None:
    """Say how two versions of a prompt differ: what is asked for, and the words, one by one."""
    from rich.console import Console
    from rich.text import Text

    from whyrec.cli.trace_text import marked, plain
    from whyrec.settings import read_settings
    from whyrec.workbench.prompt_versions import difference, find

    home, console = read_settings().home, Console(highlight=False)
    old = find(home, a)
    found = difference(old, find(home, b, name=old.prompt.name))
    for sign, version in (("-", found.old), ("+", found.new)):
        console.print(Text(f"{sign} {version.prompt.name} {version.prompt.digest} ({version.where})", style="bold"))
    if found.same:
        console.print("They are the same, to the byte.")
        return
    for field, before, after in found.front:
        console.print(Text.assemble((f"{field}: ", "bold"), plain(before), " → ", plain(after)))
    for role, pieces in found.sections:
        if any(piece.kind != "same" for piece in pieces):
            console.print(Text(f"--- {role}", style="bold"))
            console.print(marked(pieces, colour=console.color_system is not None))


@app.command("history")
def history(
    name: str = typer.Argument(help="The prompt, such as cot_rec/summarise_batch."),
    outcomes: bool = typer.Option(True, "--outcomes/--no-outcomes", help="Also what the results were worth."),
) -> None:
    """List which runs used which version of a prompt, how its answers were, and what came of it."""
    import time

    from rich.console import Console
    from rich.table import Table

    import prompts
    from whyrec.settings import read_settings
    from whyrec.workbench.prompt_versions import history as uses_of

    console, damaged = Console(highlight=False), list[str]()
    with console.status("reading what the results of the runs are worth (--no-outcomes is quicker)"):
        uses = uses_of(
            read_settings(), name, outcomes=outcomes, unreadable=lambda run, why: damaged.append(f"{run}: {why}")
        )
    if not console.is_terminal:
        console.width = 200
    now = prompts.load(name).digest if name in prompts.names() else ""
    console.print(f"{name}: the file is version {now[:8] or 'gone'}", markup=False)
    heads = ("version", "run", "model", "last used", "calls", "valid at once", "repairs", "errors", "done", "failed")
    table = Table(*heads, "outcome", box=None, pad_edge=False)
    for use in uses:
        outcome = f"{use.outcome} {use.mean:.4f} (n={use.scored})" if use.outcome else ""
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(use.at[1]))
        counted = (f"{n:,}" for n in (use.repairs, use.errors, use.done, use.failed))
        table.add_row(use.digest[:8] + ("*" if use.digest == now else ""), use.run, use.model, when, f"{use.calls:,}",
                      f"{use.valid:.1%}", *counted, outcome)  # fmt: skip
    if table.row_count:
        console.print(table)
        console.print("* as the file stands now. Two versions: whyrec prompts diff VERSION VERSION.", markup=False)
    else:
        console.print("No run has used it yet.")
    for line in damaged:
        console.print(f"left out: {line}", markup=False)


def _complaints(path: Path) -> list[str]:
    """Everything wrong with one file, its answer type included."""
    import prompts
    from agents import answer_types, examples
    from agents.answers import complaints
    from prompts.lint import lint as lint_text

    if not path.is_file():
        raise UsageError(f"There is no prompt file {path}. `whyrec prompts ls` lists the prompts.")
    try:
        text = prompts.read_file(path)
    except UsageError as error:
        return [str(error)]
    said = lint_text(text, where=str(path))
    try:
        prompt = prompts.parse(text, where=str(path))
    except UsageError:
        return said
    known = answer_types()
    if prompt.answer not in known:
        return [*said, f"{path}: its answer type {prompt.answer!r} is unknown. Known: {', '.join(sorted(known))}."]
    static = "\n".join((*(m.content for m in prompt.opening), prompt.body))
    answer = known[prompt.answer]
    wrong = (*complaints(answer, prompt.format, static), *examples.complaints(prompt, answer))
    return said + [f"{path}: {c}." for c in wrong]
