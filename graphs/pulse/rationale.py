"""Why users took what they took, from training data alone: PULSE's positive rationales (4.1, phase I).

    WRITE -> names the target, and fewer than three drafts? -> WRITE -> still names it? -> HIDE -> END   (spec 3.a, 10)

The example is the last position of the train split: the history s[:-3], where it exists with ratings and reviews, and
the target s[-3], by what the catalogue says of it; the user's review of the target is not shown. A rationale that
names its target would teach matching titles, so it is drawn again twice at most (a new sample of the same question),
and then the name is replaced by "the item".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents import pulse as agents
from agents.folded import fold
from graphs.pulse.titles import mask, names
from graphs.services import Services
from graphs.shared.audited import HISTORY, WHO
from graphs.shared.behaviour import LEAK
from graphs.shared.users import Users, about_example
from graphs.shared.worth_of_texts import SHOWN, of_user
from graphs.workflow import Source, Workflow
from whyrec.errors import UsageError
from whyrec.plugins.rules import Rule, Rules, Switch
from whyrec.records import Example, Item

NAME = "pulse.rationale"
DRAFTS = 3
LEAKY_TARGET = "rationales were made from test targets"


@dataclass(frozen=True)
class Options:
    """Options of pulse.rationale.

    Attributes:
        cap: latest events shown.
        target: whose target is explained: the train split's, or, to measure what that leak is worth, the test split's.
    """

    cap: int = 12
    target: Literal["train", "test-i-know-this-leaks"] = "train"


@dataclass(frozen=True)
class State:
    """A rationale in the making.

    Attributes:
        example: the history shown.
        prefix: digest of the whole history.
        target: what is to be explained.
        drafts: drawn so far.
        answer: the last draft; its text masked after `hide`.
        named: whether the last draft named the target.
    """

    example: Example
    prefix: str
    target: Item
    drafts: int = 0
    answer: agents.Rationale | None = None
    named: bool = False


class Update(TypedDict, total=False):
    """What a node may change."""

    drafts: int
    answer: agents.Rationale
    named: bool


rationale = replace(agents.rationale, mask=lambda text, blanks: mask(text, blanks["item"].title, by=""))
"""Whose answers say something beside the target's name: a draft that does not is of no use."""


async def write(state: State, runtime: Runtime[Services]) -> Update:
    """Draw the next draft."""
    about = replace(about_example(state.example, NAME, "write"), item=state.target.id)
    blanks: dict[str, Any] = {"history": state.example.history, "item": state.target}
    (found,) = await rationale.many(runtime.context.llm(), 1, first=state.drafts, about=about, **blanks)
    said = [found.text, *found.cues]
    return {
        "answer": found,
        "drafts": state.drafts + 1,
        "named": any(names(text, state.target.title) for text in said),
    }


async def hide(state: State, runtime: Runtime[Services]) -> Update:
    """Replace the target's name where it stands, and drop cues that are nothing else: no call."""
    assert state.answer is not None
    title = state.target.title
    cues = tuple(mask(cue, title) for cue in state.answer.cues if fold(mask(cue, title, by="")))
    return {"answer": agents.Rationale(text=mask(state.answer.text, title), cues=cues)}


def judge(state: State) -> str:
    """After a draft: keep it, draw again, or mask it."""
    if not state.named:
        return END
    return "write" if state.drafts < DRAFTS else "hide"


def build() -> Any:
    """Drafts until one does not name the target, then the mask."""
    graph = StateGraph(State, context_schema=Services)
    graph.add_node("write", write)
    graph.add_node("hide", hide)
    graph.add_edge(START, "write")
    graph.add_conditional_edges("write", judge, ["write", "hide", END])
    graph.add_edge("hide", END)
    return graph.compile()


class Explained(Users):
    """One example per user with a training target.

    Raises:
        UsageError: no events are to be shown.
    """

    def __init__(self, source: Source, options: Options) -> None:
        if options.cap < 1:
            raise UsageError(f"Option cap of {NAME} is at least 1, not {options.cap}.")
        self.options = options
        super().__init__(source, "train" if options.target == "train" else "test")

    def state(self, index: int) -> State:
        """The history and what came next in training."""
        target = self.source.corpus.item(self.view.target(index))
        return State(self.view.example(index, last=self.options.cap), self.view.prefix_digest(index), target)

    def calls(self) -> int:
        """Three per user if every draft names its target, as quoting models do; models that obey need one."""
        return DRAFTS * len(self.indices)


def result(state: State) -> dict[str, Any]:
    """What is kept: the rationale, whether its last draft named the target (and so was masked), and what it is of."""
    assert state.answer is not None
    return {
        "user": state.example.user,
        "split": state.example.split,
        "prefix": state.prefix,
        "target": state.target.id,
        "index": state.target.index,
        "text": state.answer.text,
        "cues": list(state.answer.cues),
        "names_target": state.named,
        "drafts": state.drafts,
        "leaks": [] if state.example.split == "train" else [f"{LEAKY_TARGET} ({LEAK})"],
    }


WORKFLOW: Workflow[State, Options] = Workflow(
    name=NAME,
    about="why every user took the last item of the training data, without naming it",
    options=Options,
    state=State,
    build=build,
    inputs=Explained,
    result=result,
    steps=lambda state: 2 * DRAFTS + 10,
    prompts=lambda options: ("pulse/rationale",),
    audit=Rules(
        blanks={"pulse/rationale": {**HISTORY, "item": Rule.EXPLAINED}},
        results={
            **WHO, "target": Rule.EXPLAINED, "index": Rule.EXPLAINED, "text": Rule.OF_EXPLAINED,
            "cues": Rule.OF_EXPLAINED, "names_target": Rule.NUMBERS, "drafts": Rule.NUMBERS,
        },
        switches={"target": Switch("test targets are explained", frozenset({Rule.EXPLAINED, Rule.OF_EXPLAINED}))},
    ),
    outcomes=of_user(lambda payload: str(payload["text"]), SHOWN),
    texts=("rationales", lambda result, payload: [(result.user or result.key, str(payload["text"]))]),
)  # fmt: skip
