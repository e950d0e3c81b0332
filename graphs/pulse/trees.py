"""Which trees of reasons are grown, and from what: options, the task of each user, calls, and what nodes reach.

No task holds the target. Its behaviour text names it in the paper's oracle form alone, which has to be asked for by a
value that says that it leaks, and marks every result.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from graphs.pulse import deliberate, tree
from graphs.pulse.neighbours import Shown, Similar, States, Time, neighbours
from graphs.pulse.tree import JUDGED, LIKELIHOOD, SPACE
from graphs.pulse.weigh import Weights
from graphs.shared import thought_spaces as spaces
from graphs.shared.behaviour import LEAK, Told, behaviour_text
from graphs.shared.earlier_run import open_earlier, payload_of
from graphs.shared.users import Users
from graphs.workflow import ADDED, Source
from whyrec.data.split import SplitView
from whyrec.data.text import captions
from whyrec.embed import open_embedder
from whyrec.errors import UsageError
from whyrec.records import Example

PREFERENCES = "cot_rec.preference"


@dataclass(frozen=True)
class Options:
    """Options of pulse.refine.

    Attributes:
        split: whose target is to be predicted; the history shown is everything before it.
        cap: latest events shown.
        widths: refinements per thought, level by level; "" for the base reason alone.
        selectors: what leaves are chosen by, of space, embedding, likelihood, random, longest, base and, in a pruned
            tree, judged.
        scored: whether only leaves can be chosen, or every thought.
        rationales: a pulse.rationale run the space is learnt from; "" for the one there is over this data, "none" for
            a space that learnt nothing.
        encoder: "head" over the embedder, or a text encoder's folder or hub name.
        learners: at most this many rationales.
        embedder: as whyrec.embed names them; lsa is fitted on the catalogue.
        behaviour: whether behaviour texts name the target: never, in training on the train split, or everywhere.
        preferences: a cot_rec.preference run of the same split whose texts join the behaviour text; "" for none.
        similar, shown: how many similar users, and how many events of each.
        states: what similarity is measured on.
        time: strict shows only what similar users had met by the time of the last event shown.
        neighbours: which of their events.
        seed: of the space and of the random selector.
        prune: whether every thought is refined, or those the model values most, or votes for.
        beam: thoughts of a level that are refined further where it prunes.
        judgements: samples of each value or ballot.
    """

    split: Literal["train", "valid", "test"] = "test"
    cap: int = 12
    widths: str = "3,3"
    selectors: str = ",".join(tree.SELECTORS)
    scored: Literal["leaves", "all"] = "leaves"
    rationales: str = ""
    encoder: str = spaces.HEAD
    learners: int = 5000
    embedder: str = "lsa"
    behaviour: Told = "never"
    preferences: str = ""
    similar: int = 5
    shown: int = 3
    states: States = "svd"
    time: Time = "strict"
    neighbours: Shown = "train"
    seed: int = 0
    prune: deliberate.How = field(default="none", metadata=ADDED)
    beam: int = field(default=1, metadata=ADDED)
    judgements: int = field(default=3, metadata=ADDED)


@dataclass(frozen=True)
class Task:
    """What does not change while the graph runs.

    Attributes:
        example: the history shown.
        prefix: digest of the whole history.
        behaviour: the text that leaves are compared with.
        search, selectors, scored, seed: as in the options, read.
        leaks: what leaks, in words; () in every honest run.
    """

    example: Example
    prefix: str
    behaviour: str
    search: deliberate.Search
    selectors: tuple[str, ...]
    scored: str
    seed: int
    leaks: tuple[str, ...]


class Trees(Users):
    """One tree per user of a split. `options` are as given, with runs resolved.

    Raises:
        UsageError: options that make no tree, or runs that are not what they should be.
        UnknownNameError: a selector nobody knows.
    """

    def __init__(self, source: Source, options: Options) -> None:
        self.selectors = tree.read_selectors(options.selectors)
        self.search = search_of(options)
        self.search.check()
        if JUDGED in self.selectors and options.scored == "all":
            raise UsageError("The selector judged knows leaves alone: leave scored=all out.")
        for name, least in (("cap", 1), ("similar", 0), ("shown", 1), ("learners", 1)):
            if getattr(options, name) < least:
                raise UsageError(f"Option {name} is at least {least}, not {getattr(options, name)}.")
        needed = SPACE in self.selectors
        rationales = spaces.resolved(source, options.rationales) if needed else ""
        self._preferences = open_earlier(source.home, options.preferences, PREFERENCES) if options.preferences else None
        preferences = "" if self._preferences is None else self._preferences.id
        self.options = replace(options, rationales=rationales, preferences=preferences)
        self.leaks = tuple(leaks_of(source, self.options))
        super().__init__(source, options.split)

    def task(self, index: int) -> Task:
        """What a tree is about: the history, and the behaviour text leaves are compared with.

        Raises:
            MissingInput: the run of preferences lacks this user.
            LeakageError: the stored preference was made from another history.
        """
        options = self.options
        example = self.view.example(index, last=options.cap)
        prefix = self.view.prefix_digest(index)
        preference = ""
        if self._preferences is not None:
            preference = str(payload_of(self._preferences, example.key, prefix=prefix)["text"])
        # the oracle form of the paper, which its option's value calls a leak
        told = self.source.corpus.item(self.view.target(index)) if options.behaviour.endswith(LEAK) else None
        text = behaviour_text(example.history, preference=preference, target=told)
        return Task(example, prefix, text, self.search, self.selectors, options.scored, options.seed, self.leaks)

    def calls(self) -> int:
        """The thoughts of every tree, what judges them, and for likelihood one scoring call per parent."""
        return len(self.indices) * self.calls_each()

    def calls_each(self) -> int:
        """Calls of one tree."""
        asked = sum(self.search.born) + self.search.judging
        if LIKELIHOOD not in self.selectors:
            return asked
        before = (1, *self.search.parents)  # prompts that the thoughts of each level were drawn from
        return asked + (before[-1] if self.options.scored == "leaves" else sum(before))


def search_of(options: Options) -> deliberate.Search:
    """How the tree of these options is grown."""
    leaves = JUDGED in tree.read_selectors(options.selectors)
    widths = tree.read_widths(options.widths)
    return deliberate.Search(widths, options.prune, options.beam, options.judgements, leaves)


def leaks_of(source: Source, options: Options) -> list[str]:
    """What leaks under resolved options, in words."""
    found = list(spaces.leaks_of(source, options.rationales)) if options.rationales else []
    if options.behaviour.endswith(LEAK):
        found.append(f"behaviour texts name the target ({LEAK})")
    if options.neighbours.endswith(LEAK):
        found.append(f"similar users' validation and test items are shown ({LEAK})")
    return found


def equip(source: Source, options: Options) -> tuple[object, ...]:
    """Neighbours, the embedder and, where a selector asks for it, the thought space."""
    similar = Similar(options.states, options.similar, options.shown, options.time, options.neighbours)
    near = neighbours(source, SplitView(source.corpus, options.split), similar)
    embedder = open_embedder(options.embedder, fit_on=captions(source.corpus), cache=source.home / "embedders")
    space = None
    if SPACE in tree.read_selectors(options.selectors):
        how = spaces.Learning(
            spaces.resolved(source, options.rationales),
            told=options.behaviour,
            encoder=options.encoder,
            learners=options.learners,
            seed=options.seed,
        )
        space = spaces.learnt(source, how, embedder)
    return near, Weights(embedder, space)
