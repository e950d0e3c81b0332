"""A prompt is a text file: front matter, sections sent word for word, and one template for the user's part.

`parse` reads the text into a pure value whose version is the digest of the text; `Prompt.render` fills its blanks.
The format is in docs/prompts.md. What is unusual: nothing before the last section is a template but for the words of
the data set's domain, so the static prefix that servers cache is the same for every call over one data set by
construction; and whatever the template prints goes through
`finalise`, so neutralising data (design rule 12) is not in the author's hands. A text may come from anybody, so what a
template may say is a short list (`prompts.gate`), and so is what its front matter may hold (`prompts.front_matter`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import jinja2
import jinja2.meta
import jinja2.sandbox

from prompts import front_matter, gate
from prompts.front_matter import Format, shown
from prompts.lines import FILTERS, Lines, to_json
from prompts.neutral import neutralise
from whyrec import plugins
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.model import Message, Role, Sampling
from whyrec.records import Domain
from whyrec.settings import read_settings

FOLDER = Path(__file__).parent
MOST = 1_048_576  # bytes of a prompt file, characters of a prompt
_TOLD = 20  # problems in one sentence
DOMAIN = "domain"  # the blank that sections before the last may print words of
WORD = re.compile(r"\{\{ ?domain\.(item|items|user|did|do) ?\}\}")
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
        opening: the messages before the user's part, the same for every call over one data set: words of its domain
            are still to be filled in.
        body: source of the user's part.
        about_domain: whether it has words of the data set's domain, which agents fill in by themselves.
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
    about_domain: bool = False

    @property
    def instructions(self) -> str:
        """What is said to the model, word for word, the answers of example turns included: an echo of them is none."""
        return "\n".join((*(m.content for m in self.opening), self.body))

    def render(self, /, **blanks: Any) -> tuple[Message, ...]:
        """The conversation with every blank filled: records, strings, numbers, or their recorded JSON forms.

        Raises:
            UsageError: a blank is missing, unknown, of another kind than the template takes it for, lacks what it asks
                of it, or is so long that no model could read the message.
        """
        if self.about_domain:
            blanks[DOMAIN] = _domain(blanks.get(DOMAIN))
        if blanks.keys() != self.variables.keys():
            raise UsageError(self._wrong_blanks(blanks))
        try:
            content = self._filled(blanks)
        except UsageError:
            raise
        except jinja2.UndefinedError as error:
            raise UsageError(f"The prompt {self.name} asks for something its blanks do not have: {error}.") from None
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise UsageError(f"The prompt {self.name} takes a blank for another kind than it is ({said}).") from error
        opening = _filled_in(self.opening, blanks[DOMAIN]) if self.about_domain else self.opening
        return (*opening, Message("user", content))

    def _filled(self, blanks: Mapping[str, Any]) -> str:
        """The user's part, piece by piece, so that it ends where it is too long."""
        pieces, size = [], 0
        for piece in self.template.generate(blanks):
            pieces.append(piece)
            size += len(piece)
            if size > gate.MOST_RENDERED:
                raise UsageError(
                    f"The prompt {self.name} comes to more than {gate.MOST_RENDERED:,} characters with these blanks, "
                    f"which no model reads. Fill it with fewer or shorter ones."
                )
        return "".join(pieces)

    def _wrong_blanks(self, blanks: Mapping[str, Any]) -> str:
        missing = ", ".join(sorted(self.variables.keys() - blanks.keys()))
        unused = ", ".join(sorted(blanks.keys() - self.variables.keys()))
        said = [f"it also needs {missing}"] if missing else []
        said += [f"it has no blank for {unused}"] if unused else []
        known = ", ".join(self.variables)
        return f"The prompt {self.name} cannot be rendered: {' and '.join(said)}. Its blanks: {known}."


def names() -> list[str]:
    """Every prompt: of the house, of plug-ins, of one's own folder; sorted."""
    found = {name for folder in (FOLDER, read_settings().prompt_folder) for name in _in_folder(folder)}
    return sorted(found | plugins.found("prompts").keys())


def house_names() -> list[str]:
    """Every prompt of the house, sorted."""
    return sorted(_in_folder(FOLDER))


def _in_folder(folder: Path) -> list[str]:
    return [path.relative_to(folder).with_suffix("").as_posix() for path in folder.glob("*/*.md")]


def load(name: str) -> Prompt:
    """The prompt of this name, as its text stands now: of the house, else of a plug-in, else of one's own folder.

    One's own copy of a prompt of the house does not change the house's: a run takes it as an edited copy (`own`).

    Raises:
        UnknownNameError: no such prompt; the message lists the known ones.
        UsageError: its file is not a prompt.
    """
    house = FOLDER / f"{name}.md"
    if name in _in_folder(FOLDER):  # which nobody may take the name of; agents ask at every call, plug-ins take 70 ms
        where, text = str(house), read_file(house)
    elif name in (known := names()):
        where, text = _source(name)
    else:
        raise UnknownNameError("prompt", name, known, hint="`whyrec prompts ls` describes them.")
    prompt = parse(text, where=where)
    if prompt.name != name:
        raise UsageError(f"{where} calls itself {prompt.name!r}; its name must be its path, {name!r}.")
    return prompt


def own() -> dict[str, Prompt]:
    """One's own copies of prompts that the house or a plug-in has, by name: they are taken instead (docs/prompts.md).

    Raises:
        UsageError: a file is not a prompt, or calls itself otherwise.
    """
    folder, theirs = read_settings().prompt_folder, {*_in_folder(FOLDER), *plugins.found("prompts")}
    found = {}
    for name in sorted(theirs & set(_in_folder(folder))):
        path = folder / f"{name}.md"
        found[name] = parse(read_file(path), where=str(path))
        if found[name].name != name:
            raise UsageError(f"{path} calls itself {found[name].name!r}; its name must be its path, {name!r}.")
    return found


def _source(name: str) -> tuple[str, str]:
    """(where a known prompt stands that is not the house's, its text)."""
    if (guest := plugins.found("prompts").get(name)) is not None:
        return f"{name} in {guest.where}", guest.value.text
    path = read_settings().prompt_folder / f"{name}.md"
    return str(path), read_file(path)


def read_file(path: Path) -> str:
    """The text of a prompt file.

    Raises:
        UsageError: it cannot be read, is no text in UTF-8, or is longer than any prompt.
    """
    copy = "Copy a prompt to edit it: whyrec prompts show NAME > FILE."
    try:
        with path.open("rb") as file:
            raw = file.read(MOST + 1)
        text = raw.decode("utf-8") if len(raw) <= MOST else ""
    except UnicodeDecodeError as error:
        said = f"it is not UTF-8 text: {error.reason} at byte {error.start}"
        raise UsageError(f"The prompt file {path} cannot be read ({said}). {copy}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"The prompt file {shown(str(path))} cannot be read ({error}). {copy}") from None
    if len(raw) > MOST:
        raise UsageError(f"{path} has more than {MOST:,} bytes, so it is no prompt file. {copy}")
    return text


@lru_cache(maxsize=512)
def parse(text: str, *, where: str = "prompt") -> Prompt:
    """Read a prompt's text (see docs/prompts.md). `where` names it in errors.

    Raises:
        UsageError: the front matter, the sections or the template are wrong; says everything that is.
    """
    if len(text) > MOST:
        raise UsageError(f"{where} is not a usable prompt: it has more than {MOST:,} characters.")
    head, sections, problems = _split(text)
    body = sections[-1][1] if sections else ""
    template, used, refused = _compiled(body, where)
    if any(WORD.search(content) for _, content in sections[:-1]):
        used = used | {DOMAIN}
    declared = head.get("variables")
    declared = declared if isinstance(declared, dict) else {}
    if template is not None:
        problems += [f"the blank {v!r} is used but not declared under variables" for v in sorted(used - set(declared))]
        problems += [f"the variable {shown(v)} is declared but never used" for v in sorted(set(declared) - used)]
    problems += refused
    if problems or template is None:
        rule = f" {gate.RULE}" if refused else ""
        raise UsageError(
            f"{where} is not a usable prompt: {'; '.join(problems[:_TOLD])}.{rule} docs/prompts.md has the format."
        )
    return Prompt(
        name=head["name"],
        text=text,
        digest=hashlib.sha256(text.encode()).hexdigest()[:16],
        description=head["description"],
        answer=head["answer"],
        format=cast(Format, head["format"]),
        sampling=front_matter.sampling(head),
        variables=dict(declared),
        opening=tuple(Message(role, content) for role, content in sections[:-1]),
        body=body,
        template=template,
        about_domain=any(WORD.search(content) for _, content in sections),
    )


def _compiled(body: str, where: str) -> tuple[jinja2.Template | None, set[str], list[str]]:
    """(the template, the blanks it uses, nothing), or (None, nothing, what it may not say): then nothing is compiled.

    Raises:
        UsageError: it is no template.
    """
    if len(body) > gate.MOST_SOURCE:
        return (
            None,
            set(),
            [f"its last section has {len(body):,} characters, of which {gate.MOST_SOURCE:,} are the most"],
        )
    try:
        tree = environment().parse(body)
        if refused := gate.refusals(environment(), body, tree):
            return None, set(), refused
        return environment().from_string(tree), jinja2.meta.find_undeclared_variables(tree), []
    except jinja2.TemplateSyntaxError as error:
        raise UsageError(f"{where} has a template error in line {error.lineno} of its last section: {error}.") from None
    except RecursionError:
        return None, set(), ["its last section is nested too deeply"]
    except ValueError as error:  # a number that Python refuses to read
        return None, set(), [f"its last section has something that cannot be read ({str(error)[:100]})"]


def blanks_json(blanks: Mapping[str, Any]) -> dict[str, Any]:
    """Blanks as plain JSON data for `About.blanks`; rendering them gives the same messages."""
    return {name: to_json(value) for name, value in blanks.items()}


def render_recorded(text: str, blanks: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages of a recorded call from its prompt's text and its blanks, identical to those that were sent.

    Raises:
        UsageError: the text is no prompt, or the blanks are none of it: the run may be anybody's.
    """
    if not isinstance(blanks, Mapping):
        raise UsageError(f"The blanks of a recorded call are a {type(blanks).__name__}, not names with values.")
    return parse(text, where="the recorded prompt").render(**blanks)


def _domain(given: Any) -> Domain:
    """A domain, or one from its recorded form; the general one for calls recorded before there were any."""
    if isinstance(given, Domain):
        return given
    told = given if isinstance(given, Mapping) else {}
    return Domain(**{name: str(told.get(name, word)) for name, word in asdict(Domain()).items()})


@lru_cache(maxsize=512)
def _filled_in(opening: tuple[Message, ...], domain: Domain) -> tuple[Message, ...]:
    """The messages before the user's part, with the words of a domain."""
    known = {name: neutralise(word) for name, word in asdict(domain).items()}
    return tuple(Message(m.role, WORD.sub(lambda found: known[found[1]], m.content)) for m in opening)


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
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return {}, [], [f"it is not text: half a character stands at place {error.start}"]
    match = re.match(r"\ufeff?---\n(.*?)\n---\n(.*)\Z", text.replace("\r\n", "\n"), re.DOTALL)
    if not match:
        return {}, [], ["it does not start with front matter between two lines of ---"]
    head, problems = front_matter.read(match[1])
    before, *rest = _HEADING.split(match[2])
    sections: list[tuple[Role, str]] = [
        (cast(Role, role), body.strip()) for role, body in zip(rest[::2], rest[1::2], strict=True)
    ]
    return head, sections, problems + list(_section_problems(before, sections))


def _section_problems(before: str, sections: list[tuple[Role, str]]) -> Iterator[str]:
    if before.strip():
        yield "text stands before the first section (a line `# system`, `# user` or `# assistant`)"
    if not sections or sections[-1][0] != "user":
        yield "its last section is not `# user`"
    for role, body in sections:
        if not body:
            yield f"its {role} section is empty"
    for role, body in sections[:-1]:
        if "{{" in (bare := WORD.sub("", body)) or "{%" in bare:
            yield f"a blank stands in its {role} section; only the last section may have blanks, but words of domain"
    if any(role == "system" for role, _ in sections[1:]):
        yield "a system section stands after another one"
