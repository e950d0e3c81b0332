"""The quality dials: which outcome of which method is looked at while the model gets better, and beside what.

A dial names cells of experiments that exist already (`whyrec eval`): the cell of the method at a level of quality, the
cell of the same method without a model, which a worthless model must not beat, and, where there are such cells, the one
in which the same model works without the part the method is about and a placebo, the method with another user's texts.
The outcome is to follow the truth of the texts: the method's has to rise with the level, the placebo's has not, so far
as the model does nothing but hand its texts on. Sizes were chosen by what a dial costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from evals.registry import Options
from whyrec.errors import UnknownNameError, UsageError

LEVELS: Final = (0.0, 0.5, 1.0)
SETTINGS: Final = ("easy", "default", "hard")


@dataclass(frozen=True)
class Dial:
    """One dial.

    Attributes:
        name: unique; of its files, too.
        title: for people.
        says: what a level changes and what is measured.
        experiment: whose cells are run.
        method: cell of the method, without the model's name.
        metric: of the experiment; or one of its measures (`measure`).
        without: cells that need no model; the first is the same method without one. Empty where `constant` is.
        constant: (name, value) of what needs no model where it is known without a run.
        beside: cell of the same model without the part that the method is about, "" for none.
        placebo: cell of the same model with another user's texts, "" for none.
        measure: the outcome is a measure of a set (AUC, MAPB), not a mean over examples.
        lower: lower is better.
        over: generated interactions or generated questions.
        users: of each world, or questions.
        items: of each world.
        rows: examples asked about where they are not users; None for all users.
        remark: what a reader has to know beside the numbers.
        seconds: CPU seconds of a seed with all levels, roughly.
    """

    name: str
    title: str
    says: str
    experiment: str
    method: str
    metric: str
    without: tuple[str, ...] = ()
    constant: tuple[str, float] | None = None
    beside: str = ""
    placebo: str = ""
    measure: bool = False
    lower: bool = False
    over: Literal["world", "facts"] = "world"
    users: int = 400
    items: int = 240
    rows: int | None = None
    remark: str = ""
    seconds: float = 60.0

    def data(self, seed: int, *, setting: str = "default", users: int | None = None) -> str:
        """Name of the generated data of a seed.

        Raises:
            UsageError: questions have no other setting.
        """
        if self.over == "facts":
            if setting != "default":
                raise UsageError(f"{self.name} asks questions about `facts`, which has one setting only.")
            return f"facts:questions={users or self.users},seed={seed}"
        named = [] if setting == "default" else [setting]
        return "world:" + ",".join([*named, f"users={users or self.users}", f"items={self.items}", f"seed={seed}"])

    def cells(self, levels: Sequence[float]) -> tuple[str, ...]:
        """Names of all cells it reads."""
        rows = [self.method, *filter(None, (self.beside, self.placebo))]
        return (*self.without, *(at(row, level) for row in rows for level in levels))

    def options(self, levels: Sequence[float]) -> Options:
        """Of the experiment."""
        return Options(llms=tuple(model(level) for level in levels), users=self.rows)


def model(level: float) -> str:
    """Name of the model at a level."""
    return f"simulated:{level:g}"


def at(row: str, level: float) -> str:
    """Name of a row's cell at a level."""
    return f"{row} @{model(level)}"


def _random_order(options: int = 10) -> float:
    """MAPB of a ranker that orders `options` options by lot: E|place - mean of as many places|, exactly."""
    places, sums = range(1, options + 1), {0: 1.0}
    for _ in range(options - 1):
        moved: dict[int, float] = {}
        for total, share in sums.items():
            for place in places:
                moved[total + place] = moved.get(total + place, 0.0) + share / options
        sums = moved
    n = options
    return sum(s / n * abs(p - (total + p) / n) for total, s in sums.items() for p in places)


DIALS: Final[tuple[Dial, ...]] = (
    Dial(
        name="cot_rec.retriever",
        title="CoT-Rec: a recommender whose users start from a preference",
        says=(
            "The model describes the items and folds every history into a preference; SASRec's user token starts from "
            "it (items from their captions). NDCG@10 over the whole catalogue."
        ),
        experiment="cot_rec.table_1",
        method="SASRec user=Preference,item=Caption",
        metric="ndcg@10",
        placebo="SASRec user=Another user's preference,item=Caption",
        without=("SASRec user=None,item=Caption", "SASRec user=Random,item=Caption", "popularity"),
        users=400,
        items=240,
        seconds=50.0,
    ),
    Dial(
        name="cot_rec.ranker",
        title="CoT-Rec: ten retrieved items ranked with preference and perceptions",
        says=(
            "item-CF retrieves ten items; the model says what the user prefers and sees in each, and ranks them. "
            "NDCG@10 over all users, 0 where the target was not retrieved."
        ),
        experiment="cot_rec.table_2",
        method="item-CF, LLM++",
        metric="ndcg@10",
        without=("item-CF, None", "item-CF, random order", "item-CF, hits first"),
        beside="item-CF, LLM",
        users=400,
        seconds=14.0,
    ),
    Dial(
        name="cot_rec.bias",
        title="CoT-Rec: how much that ranker looks at places",
        says=(
            "The same ranker: mean absolute position bias over ten rotations of the candidates, of users whose target "
            "was retrieved. Lower is better; 0 ignores places."
        ),
        experiment="cot_rec.table_2",
        method="item-CF, LLM++",
        metric="MAPB",
        constant=("a random order", _random_order()),
        beside="item-CF, LLM",
        measure=True,
        lower=True,
        users=400,
        seconds=14.0,
    ),
    Dial(
        name="pulse",
        title="PULSE: the next of ten candidates, with the reason chosen in thought space",
        says=(
            "The model writes rationales, from which the thought space is learnt, grows a tree of reasons, and chooses "
            "the next item with the reason that the space picked. HR@1 among ten candidates."
        ),
        experiment="pulse.table_4",
        method="thought space",
        metric="hr@1",
        without=("chance", "popularity", "item-CF"),
        beside="no reason",
        placebo="another user's reason",
        users=120,
        seconds=25.0,
    ),
    Dial(
        name="scoter",
        title="SCoTER: twenty recommendations along the mined template",
        says=(
            "The model's chains are mined for a template on train targets; along it, it recommends twenty items to "
            "every test user. Recall@20 of the last item."
        ),
        experiment="scoter.table_11",
        method="mined",
        metric="recall@20",
        without=("chance", "popularity", "item-CF"),
        beside="free path",
        placebo="another user's chains",
        users=300,
        seconds=30.0,
    ),
    Dial(
        name="scoter.chains",
        title="SCoTER: twenty recommendations along a path of the model's own",
        says=(
            "The first half alone, without a template: the model chooses a path, reasons along it and recommends. "
            "Recall@20 of the last item."
        ),
        experiment="scoter.table_11",
        method="free path",
        metric="recall@20",
        placebo="free path, another user's chains",
        without=("chance", "popularity", "item-CF"),
        users=300,
        seconds=8.0,
        remark=(
            "Twenty descriptions lead to some thirteen different items (two descriptions may mean the same one), so "
            "chance, which is twenty items drawn by lot, is a strict reference: a useless model falls below it."
        ),
    ),
    Dial(
        name="rallrec",
        title="RALLRec+: clicks by knowledge injection and consistency merging",
        says=(
            "The expert's opinion stands in the prompt, six trains of thought are read out, and eq. 10 merges them "
            "with the expert. AUC."
        ),
        experiment="rallrec.table_5",
        method="KP=1,CM=1",
        metric="AUC",
        without=("expert alone", "item's liked rate", "base rate"),
        beside="thinks, hinted",
        placebo="KP=1,CM=1, another user's thoughts",
        measure=True,
        users=400,
        rows=120,
        seconds=10.0,
    ),
    Dial(
        name="rallrec.thinking",
        title="RALLRec+: clicks by the model's own thoughts",
        says="The same without an expert: six trains of thought over the retrieved history, read out. AUC.",
        experiment="rallrec.table_5",
        method="thinks, retrieval",
        metric="AUC",
        without=("base rate", "item's liked rate", "expert alone"),
        beside="at once",
        placebo="thinks, retrieval, another user's thoughts",
        measure=True,
        users=400,
        rows=120,
        seconds=10.0,
    ),
    Dial(
        name="hotpotqa.react",
        title="Questions answered by searching (ReAct)",
        says="The model thinks, searches the question's paragraphs and answers. F1 of the answer's words.",
        experiment="hotpotqa.table_7",
        method="ReAct",
        metric="f1",
        without=("title most like the question", "any title"),
        beside="Act",
        over="facts",
        users=150,
        seconds=8.0,
    ),
    Dial(
        name="hotpotqa.cot",
        title="Questions answered by reasoning over all paragraphs (CoT)",
        says="The model sees all paragraphs, reasons and answers. F1 of the answer's words.",
        experiment="hotpotqa.table_7",
        method="CoT",
        metric="f1",
        without=("title most like the question", "any title"),
        beside="Standard",
        over="facts",
        users=150,
        seconds=4.0,
    ),
)


def dial(name: str) -> Dial:
    """The dial of this name.

    Raises:
        UnknownNameError: there is none.
    """
    found = {d.name: d for d in DIALS}
    if name not in found:
        raise UnknownNameError("dial", name, [*found, "all"], hint="`all` is every one of them.")
    return found[name]
