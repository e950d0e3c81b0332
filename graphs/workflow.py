"""A workflow: a graph plus what the runner has to know to put a whole data set through it.

The graph says in what order the agents are asked about one example. Its workflow says which examples there are
(`Inputs`: a cheap list of indices, and a state built only when its turn comes), what is kept of the final state, and
how many calls it may take; and, declared beside the graph, what the audit may expect, what results are worth and which
texts they hold. Workflows are found by name and imported when asked for: "<paper>.<graph>" is the `WORKFLOW` of
graphs/<paper>/<graph>.py, and there is no list of them.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

import graphs
from graphs.outcomes import Outcomes, Texts
from whyrec import plugins
from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions, need_corpus, need_questions
from whyrec.data.some import HowMany
from whyrec.embed import embedder_identity
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.weights.digest import revision_of
from whyrec.plugins.rules import Rules
from whyrec.precision import Precision

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)
OptionsT = TypeVar("OptionsT")

ADDED: Mapping[str, Any] = MappingProxyType({"added": True})
"""Metadata of a field of options that came when there were runs already, and whose default means what was done before.

At its default it is no part of a run's identity, so that these runs are found again.
"""

_EMBEDDERS = ("embedder", "path_embedder")  # options that name one
_GONE = ("domain",)  # options that runs were made with before their data set said it
_DECLARES = re.compile(rb"^WORKFLOW\b", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """What examples are made from.

    Attributes:
        data: interactions or questions.
        home: the folder earlier runs lie in (`$WHYREC_HOME`).
        users: at most this many users of the split (or questions): the first ones, or `Drawn`; None for all of them.
        precision: in which models are trained that examples need.
        trained: filled as they are made: a model that examples needed -> the precision it was trained in, and why.
    """

    data: Corpus | Questions
    home: Path
    users: HowMany = None
    precision: Precision = "auto"
    trained: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def corpus(self) -> Corpus:
        """The data as interactions; UsageError where it holds questions."""
        return need_corpus(self.data)

    @property
    def questions(self) -> Questions:
        """The data as questions; UsageError where it holds interactions."""
        return need_questions(self.data)


class Inputs(Protocol[S_co]):
    """The examples of one run. Only indices are held; a state lives as long as its example is in flight.

    `options` are the options as used: names of earlier runs in full, defaults that depend on the data filled in.
    """

    @property
    def options(self) -> Any:
        """What a run's identity is made of."""
        ...

    @property
    def indices(self) -> npt.NDArray[np.int64]:
        """Which users or items of the corpus, ascending."""
        ...

    def key(self, index: int) -> str:
        """Unique in the run, and the same in every run over the same data: "test/A1B2", "item/B00X"."""
        ...

    def place(self, index: int) -> tuple[str, str]:
        """(user id, split), "" where it does not apply."""
        ...

    def state(self, index: int) -> S_co:
        """The state the graph starts from.

        Raises:
            MissingInput: something made by an earlier run is not there for this example.
        """
        ...

    def calls(self) -> int:
        """How many model calls all examples together may take, repairs and cache hits aside (an upper bound)."""
        ...


@runtime_checkable
class Sharing(Protocol):
    """Inputs whose examples share calls: identical ones are answered once and then come from the cache."""

    def shared(self) -> Mapping[str, tuple[int, int]]:
        """Node -> (how many of its calls `calls()` counts, how many of them differ)."""
        ...


@runtime_checkable
class Measurable(Protocol):
    """Inputs that know how long their examples are, so that an estimate's sample can have all lengths in it."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Of each example, in the order of `indices`; in events, characters or whatever its prompts grow with."""
        ...


def spread(lengths: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Places of at most so many examples whose lengths are spread as those of all are, ascending."""
    n = len(lengths)
    if n <= most:
        return np.arange(n, dtype=np.int64)
    middles = ((np.arange(most) + 0.5) * n / most).astype(np.int64)
    return np.sort(np.argsort(lengths, kind="stable")[middles])


class MissingInput(Exception):
    """An example lacks something an earlier run should have made. The example fails with this reason."""


def find_example(inputs: Inputs[Any], name: str) -> int:
    """The index of the example that a person means: by its key, or the user or item it is of; "" for the first.

    Raises:
        UnknownNameError: there is none, or there are several of this user.
        UsageError: there are no examples at all.
    """
    keys = {inputs.key(int(i)): int(i) for i in inputs.indices}
    if not keys:
        raise UsageError("These data have no example for this graph: a user needs three events and a target.")
    if not name:
        return next(iter(keys.values()))
    of_it = [key for key, i in keys.items() if name in (key.partition("/")[2], inputs.place(i)[0])]
    meant = [name] if name in keys else of_it
    if len(meant) != 1:
        raise UnknownNameError("example", name, meant or list(keys)[:10], hint="These are some of them.")
    return keys[meant[0]]


@dataclass(frozen=True)
class Sample:
    """On what a workflow runs though nothing was made before: where somebody looks at it for the first time.

    Attributes:
        data: a generated data set.
        options: options that differ from the defaults, as text.
    """

    data: str = "world:users=60,items=80"
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Workflow(Generic[S, OptionsT]):
    """A graph over a data set.

    Attributes:
        name: "<paper>.<graph>".
        about: one line for lists.
        options: frozen dataclass of its options; every one of them can change answers and is part of a run's identity.
        state: frozen dataclass of the graph's state.
        build: makes the compiled graph.
        inputs: makes the examples; raises UsageError for options that do not fit the data.
        result: what is kept of a final state (JSON-able).
        steps: an upper bound on super-steps for this state, passed as the recursion limit.
        prompts: names of the prompts used under these options.
        roles: roles of the models it asks (`--llm ROLE=MODEL`).
        equip: makes what its nodes reach through `Services.part`, once, before the first example (also before an
            estimate's dry run): an embedder, something trained. What it makes must follow from data and options alone.
        continues: whether models are asked to go on with an assistant's turn, so that their revision for that counts.
        audit: what its prompts may show and its results may hold.
        outcomes: what its results are worth, example by example, for `whyrec compare`; None where nothing can be said.
        texts: what can be searched of its results: (what they are, in the plural; payload -> (id, text) pairs).
        sample: see there.
    """

    plugin_kind: ClassVar[plugins.Kind] = "graphs"

    name: str
    about: str
    options: type[OptionsT]
    state: type[S]
    build: Callable[[], Any]
    inputs: Callable[[Source, OptionsT], Inputs[S]]
    result: Callable[[S], dict[str, Any]]
    steps: Callable[[S], int]
    prompts: Callable[[OptionsT], tuple[str, ...]]
    roles: tuple[str, ...] = ("writer",)
    equip: Callable[[Source, OptionsT], tuple[object, ...]] = lambda source, options: ()
    continues: Callable[[OptionsT], bool] = lambda options: False
    audit: Rules = field(default_factory=Rules)
    outcomes: Outcomes | None = None
    texts: Texts | None = None
    sample: Sample = Sample()


def names() -> list[str]:
    """Names of all workflows, those of plug-ins too."""
    return plugins.names("graphs", ours())


def ours() -> tuple[str, ...]:
    """Names of the house's own workflows: of the modules in papers' rooms that declare one; none is imported."""
    return _declared(tuple(graphs.__path__))


@lru_cache(maxsize=4)
def _declared(folders: tuple[str, ...]) -> tuple[str, ...]:
    files = sorted(file for folder in folders for file in Path(folder).glob("*/*.py"))
    return tuple(f"{file.parent.name}.{file.stem}" for file in files if _DECLARES.search(file.read_bytes()))


def every() -> Iterator[Workflow[Any, Any]]:
    """All workflows, the house's first; each is imported when its turn comes."""
    house = ours()
    yield from map(workflow, house)
    yield from (found.value for name, found in plugins.found("graphs").items() if name not in house)


def find(name: str) -> Workflow[Any, Any] | None:
    """The workflow of this name, the house's or a plug-in's; None where there is none."""
    if name in ours():
        found = importlib.import_module(f"graphs.{name}").WORKFLOW
        assert isinstance(found, Workflow) and found.name == name
        return found
    guest = plugins.found("graphs").get(name)
    return None if guest is None else guest.value


def workflow(name: str) -> Workflow[Any, Any]:
    """The workflow of this name.

    Raises:
        UnknownNameError: there is none.
    """
    if (found := find(name)) is not None:
        return found
    raise UnknownNameError("graph", name, names())


def read_options(flow: Workflow[Any, OptionsT], given: Mapping[str, str]) -> OptionsT:
    """Options from text, as typed on a command line ("batch=5").

    Raises:
        UnknownNameError: no such option; the message lists the known ones.
        UsageError: a value that is not of the option's type.
    """
    hints = typing.get_type_hints(flow.options)
    values = {}
    for name, text in given.items():
        if name not in hints:
            raise UnknownNameError(f"option of {flow.name}", name, hints)
        values[name] = _read(flow.name, name, hints[name], text)
    return flow.options(**values)


def recorded_options(flow: Workflow[Any, OptionsT], told: Mapping[str, Any]) -> OptionsT:
    """Options as a run's identity holds them.

    Raises:
        UsageError: the run was made with an option that the workflow no longer has.
    """
    told = {name: value for name, value in told.items() if name not in _GONE}
    if gone := sorted(told.keys() - {f.name for f in dataclasses.fields(flow.options)}):  # type: ignore[arg-type]
        raise UsageError(f"{flow.name} has no option {', '.join(gone)} any more, which this run was made with.")
    return flow.options(**told)


def identity_of(options: Any) -> dict[str, Any]:
    """Options as they stand in a run's identity: all but those that came later (ADDED) and are at their default."""
    quiet = {f.name for f in dataclasses.fields(options) if f.metadata.get("added")}
    told = dataclasses.asdict(options)
    defaults = {f.name: f.default for f in dataclasses.fields(options)}
    return {name: value for name, value in told.items() if name not in quiet or value != defaults[name]}


def contents_of(options: Any) -> dict[str, str]:
    """Of options that name weights by where they lie, what is in them: `embedder`, `encoder` (`Identity.contents`).

    Raises:
        UsageError, UnknownNameError: `local:` names no embedder that is here.
    """
    found: dict[str, str] = {}
    usual = {field.name: field.default for field in dataclasses.fields(options)}
    chosen = {name: value for name, value in identity_of(options).items() if value != usual[name]}
    for name, value in chosen.items():
        if name in _EMBEDDERS and embedder_identity(value) != value:
            found[name] = embedder_identity(value)
        elif name == "encoder" and (content := revision_of(value)):
            found[name] = content
    return found


def code_of(flow: Workflow[Any, Any]) -> dict[str, str]:
    """Of a plug-in's workflow the digest of its file or package (`Identity.contents`): edited, it makes another run."""
    found = None if flow.name in ours() else plugins.found("graphs").get(flow.name)
    return {} if found is None else {"plugin": found.digest}


def option_help(flow: Workflow[Any, Any]) -> list[tuple[str, str, str]]:
    """(name, type, default) of every option."""
    hints = typing.get_type_hints(flow.options)
    return [(f.name, _type_name(hints[f.name]), str(f.default)) for f in dataclasses.fields(flow.options)]


def _type_name(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return " | ".join(map(str, typing.get_args(hint)))
    return getattr(hint, "__name__", str(hint))


def _read(flow: str, name: str, hint: Any, text: str) -> Any:
    """One option's value. Types are str, int and Literal of strings."""
    if typing.get_origin(hint) is Literal:
        if text in typing.get_args(hint):
            return text
        raise UsageError(f"Option {name} of {flow} is one of {_type_name(hint)}, not {text!r}.")
    assert hint in (str, int)
    try:
        return hint(text)
    except ValueError:
        raise UsageError(f"Option {name} of {flow} is a whole number, not {text!r}.") from None
