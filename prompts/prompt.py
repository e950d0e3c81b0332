"""A prompt is a text file: front matter, sections sent word for word, and one template for the user's part.

`parse` reads the text into a pure value whose version is the digest of the text; `Prompt.render` fills its blanks.
The format is in docs/prompts.md. What is unusual: nothing before the last section is a template, so the static prefix
that servers cache is the same for every call by construction; and whatever the template prints goes through
`finalise`, so neutralising data (design rule 12) is not in the author's hands.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import jinja2
import jinja2.meta
import jinja2.sandbox
import yaml

from prompts.lines import FILTERS, Lines, to_json
from prompts.neutral import neutralise
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.model import Message, Role, Sampling

Format: TypeAlias = Literal["json", "tags", "headers", "text"]
FOLDER = Path(__file__).parent
_KEYS = ("name", "description", "answer", "format", "sampling", "variables")
_SAMPLING_KEYS = ("temperature", "top_p", "max_tokens", "stop", "seed")
_HEADING = re.compile(r"^# (system|user|assistant)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What we say, with blanks.

    Attributes:
        name: path under prompts/ without the ending.
        text: the whole file; `digest` (16 hex digits) of it is the version.
        description: one line.
        answer: class name of the answer type in `agents`.
        format: the shape the answer is asked for in.
        sampling: how to draw the answer.
        variables: every blank and what it is.
        opening: the messages before the user's part, the same for every call.
        body: source of the user's part.
    """

    name: str
    text: str = field(repr=False)
    digest: str
    description: str
    answer: str
    format: Format
    sampling: Sampling
    variables: Mapping[str, str] = field(hash=False)
    opening: tuple[Message, ...] = field(repr=False)
    body: str = field(repr=False)
    template: jinja2.Template = field(repr=False, compare=False)

    def render(self, **blanks: Any) -> tuple[Message, ...]:
        """The conversation with every blank filled: records, strings, numbers, or their recorded JSON forms.

        Raises:
            UsageError: a blank is missing, unknown, or lacks what the template asks of it.
        """
        if blanks.keys() != self.variables.keys():
            raise UsageError(self._wrong_blanks(blanks))
        try:
            content = self.template.render(blanks)
        except jinja2.UndefinedError as error:
            raise UsageError(f"The prompt {self.name} asks for something its blanks do not have: {error}.") from None
        return (*self.opening, Message("user", content))

    def _wrong_blanks(self, blanks: Mapping[str, Any]) -> str:
        missing = ", ".join(sorted(self.variables.keys() - blanks.keys()))
        unused = ", ".join(sorted(blanks.keys() - self.variables.keys()))
        said = [f"it also needs {missing}"] if missing else []
        said += [f"it has no blank for {unused}"] if unused else []
        known = ", ".join(self.variables)
        return f"The prompt {self.name} cannot be rendered: {' and '.join(said)}. Its blanks: {known}."


def names() -> list[str]:
    """Every prompt of the house, sorted."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob("*/*.md"))


def load(name: str) -> Prompt:
    """The prompt of this name, as its file stands now.

    Raises:
        UnknownNameError: no such prompt; the message lists the known ones.
        UsageError: its file is not a prompt.
    """
    if name not in (known := names()):
        raise UnknownNameError("prompt", name, known, hint="`whyrec prompts ls` describes them.")
    path = FOLDER / f"{name}.md"
    prompt = parse(path.read_text(encoding="utf-8"), where=str(path))
    if prompt.name != name:
        raise UsageError(f"{path} calls itself {prompt.name!r}; its name must be its path, {name!r}.")
    return prompt


@lru_cache(maxsize=512)
def parse(text: str, *, where: str = "prompt") -> Prompt:
    """Read a prompt's text (see docs/prompts.md). `where` names it in errors.

    Raises:
        UsageError: the front matter, the sections or the template are wrong; says everything that is.
    """
    head, sections, problems = _split(text)
    body = sections[-1][1] if sections else ""
    problems += _front_matter_problems(head)
    try:
        tree = environment().parse(body)
        template = environment().from_string(tree)
    except jinja2.TemplateSyntaxError as error:
        raise UsageError(f"{where} has a template error in line {error.lineno} of its last section: {error}.") from None
    used, declared = jinja2.meta.find_undeclared_variables(tree), head.get("variables") or {}
    problems += [f"the blank {v!r} is used but not declared under variables" for v in sorted(used - set(declared))]
    problems += [f"the variable {v!r} is declared but never used" for v in sorted(set(declared) - used)]
    if problems:
        raise UsageError(f"{where} is not a usable prompt: {'; '.join(problems)}. docs/prompts.md has the format.")
    return Prompt(
        name=head["name"],
        text=text,
        digest=hashlib.sha256(text.encode()).hexdigest()[:16],
        description=head["description"],
        answer=head["answer"],
        format=cast(Format, head["format"]),
        sampling=_sampling(head["sampling"]),
        variables=dict(declared),
        opening=tuple(Message(role, content) for role, content in sections[:-1]),
        body=body,
        template=template,
    )


def blanks_json(blanks: Mapping[str, Any]) -> dict[str, Any]:
    """Blanks as plain JSON data for `About.blanks`; rendering them gives the same messages."""
    return {name: to_json(value) for name, value in blanks.items()}


def render_recorded(text: str, blanks: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages of a recorded call from its prompt's text and its blanks, identical to those that were sent."""
    return parse(text).render(**blanks)


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """The sandbox every template is compiled in: our filters only, no loader, strict blanks."""
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True, finalize=finalise
    )
    env.globals.clear()
    env.filters.clear()
    env.filters.update(FILTERS)
    return env


def finalise(value: Any) -> str:
    """What the template prints: lines made by our filters as they are, all other text neutralised.

    Raises:
        UsageError: the template prints a record or a list without a filter.
    """
    if isinstance(value, Lines):
        return value
    if isinstance(value, str):
        return neutralise(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, jinja2.Undefined):
        return str(value)  # StrictUndefined raises here, naming what is missing
    raise UsageError(
        f"A template prints a {type(value).__name__} directly; give it one of the filters {', '.join(FILTERS)}."
    )


def _split(text: str) -> tuple[dict[str, Any], list[tuple[Role, str]], list[str]]:
    """Front matter, sections in order, and what is wrong with them."""
    match = re.match(r"---\n(.*?)\n---\n(.*)\Z", text.replace("\r\n", "\n"), re.DOTALL)
    if not match:
        return {}, [], ["it does not start with front matter between two lines of ---"]
    try:
        head = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        return {}, [], [f"its front matter is not YAML ({' '.join(str(error).split())})"]
    if not isinstance(head, dict):
        return {}, [], ["its front matter is not a mapping"]
    before, *rest = _HEADING.split(match[2])
    sections: list[tuple[Role, str]] = [
        (cast(Role, role), body.strip()) for role, body in zip(rest[::2], rest[1::2], strict=True)
    ]
    return head, sections, list(_section_problems(before, sections))


def _section_problems(before: str, sections: list[tuple[Role, str]]) -> Iterator[str]:
    if before.strip():
        yield "text stands before the first section (a line `# system`, `# user` or `# assistant`)"
    if not sections or sections[-1][0] != "user":
        yield "its last section is not `# user`"
    for role, body in sections:
        if not body:
            yield f"its {role} section is empty"
    for role, body in sections[:-1]:
        if "{{" in body or "{%" in body:
            yield f"a blank stands in its {role} section; only the last section may have blanks"
    if any(role == "system" for role, _ in sections[1:]):
        yield "a system section stands after another one"


def _front_matter_problems(head: Mapping[str, Any]) -> list[str]:
    problems = [f"the front matter key {key!r} is unknown" for key in head if key not in _KEYS]
    problems += [f"the front matter lacks {key!r}" for key in _KEYS if key not in head]
    for key in ("name", "description", "answer"):
        if not isinstance(head.get(key, ""), str):
            problems.append(f"{key!r} must be text")
    if head.get("format", "json") not in get_args(Format):
        problems.append(f"format {head['format']!r} is none of {', '.join(get_args(Format))}")
    variables = head.get("variables") or {}
    if not isinstance(variables, dict) or not all(isinstance(v, str) and v for v in variables.values()):
        problems.append("variables must map every blank to a sentence on what it is")
    return problems + _sampling_problems(head.get("sampling"))


def _sampling_problems(given: Any) -> list[str]:
    if not isinstance(given, dict) or "max_tokens" not in given:
        return ["sampling must be a mapping with at least max_tokens"]
    problems = [f"the sampling key {key!r} is unknown" for key in given if key not in _SAMPLING_KEYS]
    bounds = {"temperature": (0, 2), "top_p": (0, 1), "max_tokens": (1, 131_072)}
    for key, (low, high) in bounds.items():
        if key in given and not (isinstance(given[key], (int, float)) and low <= given[key] <= high):
            problems.append(f"sampling {key} must be a number from {low} to {high}")
    return problems


def _sampling(given: Mapping[str, Any]) -> Sampling:
    return Sampling(**{**given, "stop": tuple(given.get("stop", ()))})
