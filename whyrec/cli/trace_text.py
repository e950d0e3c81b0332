"""What `whyrec trace` prints: calls as a list, one call as it was sent and answered, a path, a comparison.

Everything that comes from data or a model goes into `rich.text.Text`, which never reads it as markup, and control
characters are shown, not sent to the terminal.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from whyrec.errors import UsageError
from whyrec.runs.amounts import money, tokens
from whyrec.trace import Line
from whyrec.trace.words import Piece, compare
from whyrec.workbench.plain import plain as plain_data

if TYPE_CHECKING:
    from whyrec.runs import RunReader
    from whyrec.workbench.asked import Asked
    from whyrec.workbench.difference import Pair, Side
    from whyrec.workbench.path import Path
    from whyrec.workbench.replay import Replayed

_TAG = re.compile(r"</?[a-z][a-z0-9_]*>")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_STYLES = {"same": "", "old": "red strike", "new": "green"}
_SNIPPET = 24
_TAKEN = 110  # columns that a list needs without the answers
_LONG = 300


def as_table(run: RunReader, lines: Sequence[Line], width: int) -> Table:
    """Calls as a table; the beginning of the answer fills what is left of the line."""
    table = Table("call", "for", "node", "prompt", "status", "tokens", "seconds", "cost", "answer", box=None)
    for column in table.columns[:-1]:
        column.no_wrap = True
    for name in (5, 6, 7):
        table.columns[name].justify = "right"
    table.columns[-1].no_wrap = True
    room = max(width - _TAKEN, _SNIPPET)
    for line in lines:
        call = run.call(line.id)
        assert call is not None
        said = _said(call)
        status = Text(line.status, style="red" if line.error_kind else "yellow" if line.turn or line.unreadable else "")
        whom = " ".join(filter(None, (line.user or line.example, line.item)))
        taken = tokens(line.tokens_in, line.tokens_out)
        prompt = line.prompt.partition("/")[2] or line.prompt
        row = (str(line.id), plain(whom), line.node, prompt, status, taken, f"{line.service_s:.2f}", money(line.cost))
        table.add_row(*row, plain(said if len(said) <= room else f"{said[: room - 1]}…"))
    return table


def as_json(run: RunReader, lines: Sequence[Line]) -> str:
    """Calls as JSON, one object per line, texts included; `answer_from` is "reasoning" where the answer stood there."""
    told = []
    for line in lines:
        call = run.call(line.id)
        assert call is not None
        row = {**call, "request": call["request"].hex(), "answer_from": _place(run, call)}
        told.append(json.dumps(row, ensure_ascii=False) + "\n")
    return "".join(told)


def as_csv(lines: Sequence[Line]) -> str:
    """Calls as CSV without their texts."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([f.name for f in dataclasses.fields(Line)])
    writer.writerows(dataclasses.astuple(line) for line in lines)
    return out.getvalue()


def of_call(found: Asked) -> RenderableType:
    """One call from top to bottom."""
    from whyrec.workbench.answer import parsed

    call, request = found.call, found.request
    parts: list[RenderableType] = [_facts(found)]
    if not found.faithful:
        warning = "What was sent cannot be rendered again to the byte (the filters of prompts/ have changed since)."
        parts.append(Text(warning, style="bold yellow"))
    for message in request.messages:
        parts += [_rule(message.role), Padding(fenced(message.content), (0, 2))]
    if request.prefix:
        parts += [_rule("assistant, begun for the model"), Padding(plain(request.prefix), (0, 2))]
    if call["reasoning"]:
        parts += [_rule("reasoning"), Padding(Text(visible(call["reasoning"]), style="italic"), (0, 2))]
    if call["error"]:
        parts += [_rule(f"no answer: {call['error_kind']}"), Padding(Text(visible(call["error"]), style="red"), (0, 2))]
    else:
        parts += [_rule("answer"), Padding(plain(call["answer"]), (0, 2))]
    if found.continuations or call["error"]:
        return Group(*parts)
    read = parsed(request.format, call, found.prompt_text)
    where = ", taken from the reasoning" if read.place == "reasoning" else ""
    parts.append(_rule(f"as {request.format.name or request.format.kind}{where}"))
    shown = _fields(read.fields) if read.fields is not None else Text(visible(read.problem), style="yellow")
    parts.append(Padding(shown, (0, 2)))
    return Group(*parts)


def of_steps(path: Path, *, only: int | None = None) -> RenderableType:
    """The state before and after the node that made a call, or every node of the path."""
    parts: list[RenderableType] = []
    for stop in path.stops:
        if only is not None and only not in stop.calls:
            continue
        step = stop.step
        before = dataclasses.asdict(step.before) if dataclasses.is_dataclass(step.before) else {}  # type: ignore[arg-type]
        table = Table("field", "before", "after", box=None)
        for name, value in step.update.items():
            table.add_row(name, plain(brief(before.get(name))), plain(brief(value)))
        parts += [_rule(f"state: step {step.number}, {step.node}"), Padding(table, (0, 2))]
    return Group(*parts, *_verdict(path))


def of_path(run: RunReader, path: Path, *, states: bool) -> RenderableType:
    """The whole way of an example, drawn."""
    stored = path.stored
    status = stored.status if stored else "not settled"
    tree = Tree(Text(f"{path.key}: {status}", style="bold"))
    for stop in path.stops:
        step = stop.step
        branch = tree.add(Text(f"{step.number}. {step.node}", style="cyan"))
        for number in stop.calls:
            call = run.call(number)
            assert call is not None
            said = _said(call)
            line = Text.assemble(
                (f"call {number} ", "bold"),
                f"{call['prompt']}  {tokens(call['tokens_in'], call['tokens_out'])} tokens, "
                f"{call['service_s']:.2f} s  ",
            )
            branch.add(Group(line, plain(said[:_LONG])))
        changed = ", ".join(step.update) or "nothing"
        branch.add(Text(f"changed {changed}", style="dim"))
        if states:
            for name, value in step.update.items():
                branch.add(Text.assemble((f"{name} = ", "dim"), visible(brief(value, most=2000))))
    if stored is not None:
        told = brief(stored.payload, most=2000) if stored.payload is not None else stored.reason
        tree.add(Group(Text("result", style="cyan"), plain(told)))
    return Group(tree, *_verdict(path))


def of_difference(pair: Pair, *, colour: bool) -> RenderableType:
    """Two calls side by side where they differ in numbers, one text with both where they differ in words."""
    head = Table("", _name(pair.old), _name(pair.new), box=None)
    for name, old, new in pair.settings:
        head.add_row(name, plain(old), plain(new))
    parts: list[RenderableType] = [head if pair.settings else Text(f"{_name(pair.old)} and {_name(pair.new)}")]
    for title, pieces in (("messages", pair.prompt), ("answer", pair.answer)):
        same = all(piece.kind == "same" for piece in pieces)
        parts.append(_rule(f"{title}: the same" if same else title))
        if not same:
            parts.append(Padding(marked(pieces, colour=colour), (0, 2)))
    for came in pair.came:
        table = Table("", "old", "new", box=None)
        table.add_row("result", *(plain(brief(r.payload or r.reason, most=1000) if r else "") for r in came))
        parts += [_rule("the example"), Padding(table, (0, 2))]
    return Group(*parts)


def of_replay(found: Asked, again: Replayed, *, colour: bool) -> RenderableType:
    """What was said then and now: the change in the messages, then the answers beside one another."""
    from whyrec.workbench.difference import as_text

    call = found.call
    parts: list[RenderableType] = []
    pieces = compare(as_text(found.request.messages), as_text(again.messages))
    if any(piece.kind != "same" for piece in pieces):
        parts += [_rule("messages, changed"), Padding(marked(pieces, colour=colour), (0, 2))]
    else:
        parts += [Text("The messages are the same.", "dim")]
    if sampling := again.change.get("sampling"):
        parts += [Text("Sampled with " + ", ".join(f"{name} {value}" for name, value in sampling.items()), "dim")]
    table = Table("", f"then: {call['model']}", *[f"now: {again.model}"] * len(again.said), box=None, show_lines=True)
    answers = [said.error or said.text for said in again.said]
    table.add_row("answer", plain(call["error"] or call["answer"]), *map(plain, answers))
    if call["reasoning"] or any(said.reasoning for said in again.said):
        table.add_row("reasoning", plain(call["reasoning"]), *[plain(said.reasoning) for said in again.said])
    table.add_row("ended by", call["error_kind"] or call["finish"], *[said.finish or "error" for said in again.said])
    took = [tokens(said.tokens_in, said.tokens_out) for said in again.said]
    table.add_row("tokens", tokens(call["tokens_in"], call["tokens_out"]), *took)
    table.add_row("seconds", f"{call['service_s']:.2f}", *[f"{said.seconds:.2f}" for said in again.said])
    table.add_row("cost", money(call["cost"]), *[money(said.cost) for said in again.said])
    where = Text(f"Kept as replay {again.id} of {found.request.about.run}; the run's results stay as they are.", "dim")
    return Group(*parts, _rule("answers"), table, where)


def marked(pieces: Sequence[Piece], *, colour: bool, around: int = 120) -> Text:
    """Pieces in colour, or between [-old-] and {+new+}; of a long stretch that both have, the middle is left out."""
    text = Text()
    marks = {"same": ("", ""), "old": ("[-", "-]"), "new": ("{+", "+}")}
    for at, piece in enumerate(pieces):
        said = visible(piece.text)
        if piece.kind == "same" and len(said) > 2 * around + 20:
            first = said[:around] if at else ""
            last = said[-around:] if at + 1 < len(pieces) else ""
            said = f"{first} … {last}"
        before, after = ("", "") if colour else marks[piece.kind]
        text.append(f"{before}{said}{after}", style=_STYLES[piece.kind])
    return text


def fenced(content: str) -> Text:
    """A message with its tags, which fence the data, in colour."""
    text = Text(visible(content))
    text.highlight_regex(_TAG, "magenta")
    return text


def plain(text: Any) -> Text:
    """Text that is never markup."""
    return Text(visible(str(text)))


def visible(text: str) -> str:
    """Control characters as their pictures."""
    return _CONTROL.sub(lambda found: chr(0x2400 + ord(found[0])) if ord(found[0]) < 0x20 else "␦", text)


def brief(value: Any, *, most: int = _LONG) -> str:
    """A value of a state in one line."""
    value = plain_data(value)
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=plain_data)
    return said if len(said) <= most else f"{said[:most]} … ({len(said):,} characters)"


def _place(run: RunReader, call: Mapping[str, Any]) -> str:
    """Where a call's answer stood: "answer", "reasoning" or "" (nowhere)."""
    if call["answer"] or not call["reasoning"]:
        return "answer" if call["answer"] else ""
    from whyrec.workbench.answer import parsed
    from whyrec.workbench.asked import asked

    try:
        found = asked(run, call["id"])
    except UsageError:  # `trace show` says why; a list goes on
        return ""
    read = parsed(found.request.format, call, found.prompt_text)
    return read.place if read.fields is not None else ""


def _said(call: Mapping[str, Any]) -> str:
    """A call's error, answer or, where there is nothing else, its reasoning, as the beginning of a line."""
    thought = f"(nothing but reasoning) {call['reasoning']}" if call["reasoning"] else ""
    return " ".join(str(call["error"] or call["answer"] or thought).split())


def _facts(found: Asked) -> Table:
    call, sampling = found.call, found.request.sampling
    told: Mapping[str, Any] = {
        "call": f"{found.request.about.run}:{call['id']}",
        "for": " ".join(filter(None, (call["example"], call["item"]))),
        "by": f"{call['graph']} · {call['node']} · {call['prompt']} ({call['prompt_digest'][:8]})"
        + (f" · repair {call['turn']}" if call["turn"] else ""),
        "model": call["model"] + (f" ({call['answered_by']})" if call["answered_by"] != call["model"] else ""),
        "asked with": f"temperature {sampling.temperature:g}, top-p {sampling.top_p:g}, at most "
        f"{sampling.max_tokens} tokens, seed {sampling.seed}, sample {call['sample']}, retry {call['retry']}",
        "tokens": _tokens(call),
        "time": f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(call['at']))}, waited {call['queue_s']:.2f} s, "
        f"{call['service_s']:.2f} s on the wire, sent {_times(call['attempts'])}, cache {call['cache']}",
        "ended": call["finish"] + (f", cost {money(call['cost'])}" if call["cost"] != 0 else ""),
        **({"unreadable": call["unreadable"]} if call["unreadable"] else {}),
    }
    table = Table.grid(padding=(0, 2))
    for name, value in told.items():
        table.add_row(Text(name, style="dim"), plain(value))
    return table


def _tokens(call: Mapping[str, Any]) -> str:
    """What a call took, and a cached one at first."""
    told = tokens(call["tokens_in"], call["tokens_out"])
    if call["tokens_cached"]:
        told += f", {call['tokens_cached']:,} of them from the provider's cache"
    if call["cache"] != "miss":
        told += f" ({tokens(call['made_in'], call['made_out'])} when it was first asked)"
    return told


def _fields(fields: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in fields.items():
        table.add_row(Text(name, style="dim"), plain(brief(value, most=4000)))
    return table


def _verdict(path: Path) -> list[RenderableType]:
    if path.ended:
        return [Text(f"It ended here: {path.ended}", style="yellow")]
    if path.differs:
        said = "What comes out now is not what the run has stored: code, prompts or an earlier run changed since."
        return [Text(said, style="bold yellow")]
    if path.stored is not None:
        return [Text("Made again from the recorded calls; what comes out is what the run has stored.", style="dim")]
    return []


def _name(side: Side | None) -> str:
    return side.address if side else "(no such call)"


def _rule(title: str) -> Rule:
    return Rule(Text(title, style="bold"), align="left", style="dim")


def _times(n: int) -> str:
    return "once" if n == 1 else "never" if not n else f"{n} times"
