"""`whyrec debug`: one example under checkpoints: look at its states, change one, go on from there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from whyrec.errors import UnknownNameError, UsageError

_OF_NEW = ("data", "user", "llm", "prompt", "seed", "split", "option")
_OF_OLD = ("show", "fork", "change")
_CALLED = {"fork": "from", "change": "set"}

if TYPE_CHECKING:
    from graphs.engine.debug import Moment
    from whyrec.workbench.sessions import Debugging


def command(
    what: str = typer.Argument(
        "", help="A graph to start a session of, or the number of a session. Nothing: list them."
    ),
    data: str = typer.Option("", "--data", help="The data set of a new session."),
    user: str = typer.Option("", "--user", help="Whose example: a user, an item, or the example's key."),
    llm: list[str] = typer.Option(
        [], "--llm", help="The model, or that of one role as ROLE=MODEL. Default: $WHYREC_LLM or extractive."
    ),
    prompt: list[Path] = typer.Option([], "--prompt", help="An edited copy of a prompt, in its place; repeatable."),
    seed: int = typer.Option(0, "--seed", help="Other samples than those of an ordinary run (0)."),
    split: str = typer.Option("", "--split", help="Whose target is to be predicted: test (default) or valid."),
    option: list[str] = typer.Option([], "--option", "-o", help="An option of the graph, as key=value; repeatable."),
    before: list[str] = typer.Option([], "--before", help="Stop before this node; repeatable."),
    show: int | None = typer.Option(None, "--show", help="Print this state; at a terminal, long lists cut."),
    full: bool = typer.Option(False, "--full", help="With --show: the whole of it."),
    fork: int | None = typer.Option(None, "--from", help="Go on from this state."),
    change: list[str] = typer.Option([], "--set", help="FIELD=VALUE or FIELD.PART=VALUE, in the state gone on from."),
    budget_usd: float | None = typer.Option(None, min=0.0, help="Not if it may cost more US dollars than this."),
) -> None:
    """Run one example with checkpoints, list its states, fork from one, go on.

    A new session runs until its end, or until a node of --before comes next. `whyrec debug 3 --from 2 --set k=0` goes
    on from state 2 of session 3 with another k; the states that followed it before stay.
    """
    _debug(dict(locals()))


def _debug(given: dict[str, Any]) -> None:
    from whyrec.cli.trace_text import brief
    from whyrec.llm import Budget
    from whyrec.settings import read_settings
    from whyrec.workbench.sessions import Debugging

    settings = read_settings()
    budget, what = Budget(dollars=given["budget_usd"]), given["what"]
    _check_flags(given)
    if not what:
        _list(settings)
        return
    if not what.isdecimal():
        session = Debugging.new(_subject(given), settings, budget)
        try:
            moments = session.start(before=given["before"])
        except (UsageError, UnknownNameError):
            session.drop()
            raise
    else:
        session = Debugging.open(int(what), settings, budget)
        moments = session.moments()
        number = given["fork"]
        if given["show"] is not None:
            _show(moments, given["show"], whole=given["full"] or not sys.stdout.isatty())
            return
        if given["change"] and number is None:
            raise UsageError("--set changes a state to go on from: say which with --from NUMBER.")
        if number is None and given["before"]:
            number = moments[-1].number
        if number is not None:
            change = _changes(given["change"], moments[number].state if number < len(moments) else None)
            moments = session.go(number, change=change, before=given["before"])
    _print(session, moments, brief)


def _check_flags(given: dict[str, Any]) -> None:
    """Refuse flags that would change nothing.

    Raises:
        UsageError: a flag of a new session beside a number, or the other way round.
    """
    there = {name for name in (*_OF_NEW, *_OF_OLD) if given[name] not in ("", [], None, 0 if name == "seed" else None)}
    if not given["what"] and (wrong := sorted(name for name in there | ({"before"} if given["before"] else set()))):
        raise UsageError(f"{_flags(wrong)}: of what? Name a graph to start a session of, or the number of one.")
    number = given["what"].isdecimal()
    if wrong := sorted(there & set(_OF_NEW if number else _OF_OLD)):
        which = "is there already" if number else "is not there yet"
        raise UsageError(f"{_flags(wrong)} cannot be said of a session that {which}; see whyrec debug --help.")
    if given["show"] is not None and (wrong := sorted(there & {"fork", "change", "before"})):
        raise UsageError(f"--show prints a state and does nothing else; leave out {_flags(wrong)}.")


def _flags(names: list[str]) -> str:
    return ", ".join(f"--{_CALLED.get(name, name)}" for name in names)


def _subject(given: dict[str, Any]) -> Any:
    from graphs.workflow import identity_of, workflow
    from whyrec.api.running import models_named, models_of
    from whyrec.cli.run import options_of
    from whyrec.settings import read_settings
    from whyrec.workbench.sessions import Subject

    flow = workflow(given["what"])
    if not given["data"] or not given["user"]:
        missing = "--data" if not given["data"] else "--user"
        example = f"--data {given['data'] or 'world'} --user {given['user'] or 'u17'}"
        raise UsageError(f"A new session needs {missing}, for example: whyrec debug {flow.name} {example}")
    options = options_of(flow, given["option"], given["split"])
    plain, by_role = models_named(given["llm"])
    settings = read_settings(llm=plain or None)
    models = models_of(settings.llm, by_role, given["prompt"], given["seed"])
    roles = {role: str(model) for role, model in models.roles.items()}
    edited = {prompt.name: prompt.text for prompt in models.wording.prompts.values()}
    told = identity_of(options)
    return Subject(flow.name, given["data"], given["user"], settings.llm, told, roles, edited, given["seed"])


def _changes(pairs: list[str], state: Any) -> dict[str, Any]:
    """Values by field; a part of a field is changed in what the state has there."""
    import json

    from whyrec.workbench.plain import plain

    found: dict[str, Any] = {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"--set {pair!r} is not of the form FIELD=VALUE.")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        name, *parts = path.split(".")
        if not parts:
            found[name] = value
            continue
        whole = plain(found.get(name, getattr(state, name, None)))
        at = whole
        for part in parts[:-1]:
            at = at.get(part) if isinstance(at, dict) else None
        if not isinstance(at, dict) or parts[-1] not in at:
            raise UsageError(f"There is no {path} in this state. `whyrec debug SESSION --show NUMBER` prints it.")
        at[parts[-1]] = value
        found[name] = whole
    return found


def _show(moments: list[Moment], number: int, *, whole: bool) -> None:
    import json

    from whyrec.errors import UnknownNameError
    from whyrec.workbench.plain import plain, shortened

    if number not in range(len(moments)):
        raise UnknownNameError("state", str(number), map(str, range(len(moments))))
    told = json.loads(json.dumps(plain(moments[number].state), default=plain))
    typer.echo(json.dumps(told if whole else shortened(told), indent=1, ensure_ascii=False))
    if not whole:
        typer.echo("(--full prints the whole of it)", err=True)


def _print(session: Debugging, moments: list[Moment], brief: Any) -> None:
    """Every state as a line: where it came from, what its node changed, what comes next."""
    import dataclasses

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    subject = session.subject
    asked = [subject.llm, *(f"{role}={model}" for role, model in subject.roles.items())]
    asked += [*(f"edited {name}" for name in subject.prompts), *([f"seed {subject.seed}"] if subject.seed else [])]
    console.print(f"session {session.number}: {subject.graph}, {subject.example}, {', '.join(asked)}", markup=False)
    table = Table("state", "from", "made by", "changed", "next", box=None)
    for moment in moments:
        changed = []
        if moment.parent is not None:
            before = moments[moment.parent].state
            for field in dataclasses.fields(moment.state):
                now = getattr(moment.state, field.name)
                if now != getattr(before, field.name):
                    changed.append(f"{field.name} = {brief(now, most=100)}")
        parent = "" if moment.parent is None else str(moment.parent)
        following = ", ".join(moment.following) or "(end)"
        table.add_row(str(moment.number), parent, moment.node, Text("; ".join(changed)), following)
    console.print(table)
    hint = (
        f"whyrec debug {session.number} --show N prints a state; --from N --set FIELD=VALUE goes on from it, changed."
    )
    console.print(f"[dim]{hint}[/dim]", soft_wrap=True)


def _list(settings: Any) -> None:
    import json

    from whyrec.workbench.sessions import folder, numbers

    found = numbers(settings.home)
    for number in found:
        told = json.loads((folder(settings.home) / str(number) / "session.json").read_text(encoding="utf-8"))
        typer.echo(f"{number}  {told['graph']}  {told['data']}  {told['example']}  {told['llm']}")
    if not found:
        typer.echo("There are no sessions. Start one: whyrec debug cot_rec.preference --data world --user u17")
