"""CoT-Rec's Table 2: does a language model rank a recommender's ten items better, and does it look at their places?

The grid is retriever {item-CF, SASRec, SASRec++} x ranker {None, LLM, LLM+, LLM++}. SASRec++ is the paper's CRM++: its
tables start from the descriptions and the preferences (of s[:-2]) that the same model wrote, as in Table 1, so there is
one for each model. NDCG@10 is over all users: whoever's target
was not retrieved counts 0 whatever the ranker does, so no model is asked about them (`only=hits`). A number of this
table means nothing without three anchors (spec 9.1), which stand in it: the retriever's own order (ranker None), a
random order of the ten (in expectation) and all hits first, which is the retriever's recall@10.

MAPB, the mean absolute position bias, is over the users whose target was retrieved, each asked about ten times with the
target in the place of each candidate, as the paper's code swaps them; a ranker that ignores places has 0, a random one
2.33, one that only reads letters 2.5. A second column has it by rotations of the one order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from evals.artefacts import Asked
from evals.doubts import READ_BY, of_letters, of_ways
from evals.experiment import Cell, CellFunction, Claim, Context, Experiment, Told
from evals.inputs.bias import BIAS, ROTATED, bias_in_words, bias_orders, labels_in_words
from evals.inputs.training import popularity as most_popular
from evals.metrics import Floats, metric, sample_bias
from evals.output.published import Published, published
from evals.registry import Options
from evals.statistics.aggregate import compare, summarise
from evals.summary import Summary
from graphs.cot_rec.ranked import outcome
from graphs.shared.placements import places_rotated, places_swapped
from whyrec.data.corpus import Corpus
from whyrec.data.some import in_words, named, only
from whyrec.data.split import SplitView
from whyrec.records import Outcome, Ranking
from whyrec.runs import Result

NAME = "cot_rec.table_2"
GRAPH = "cot_rec.recommend"
SHOWN = 10
AMONG_HITS, LESS_BIAS = "N@10 of hits", "Δ MAPB to LLM"

RETRIEVERS = {"item-CF": "item_cf", "SASRec": "sasrec", "SASRec++": "sasrec_texts"}
WITH_TEXTS = "SASRec++"
_PRINTED = {"SASRec": "CRM", WITH_TEXTS: "CRM++"}
RANKERS = {"LLM": "titles", "LLM+": "preference", "LLM++": "perception"}
_READS_NOTHING = "extractive"  # the model named by runs that only retrieve

TEXTS = "texts retrieve better"
ANY, LIKES, SEES = "a ranker helps", "preference helps", "perception helps"
NO_GUESS, REASONS = "better than a random order", "better models rank better"
SAYS = {
    TEXTS: "paper Table 2: a recommender started from texts (CRM++) retrieves better than one without (CRM)",
    ANY: "paper 5.2.2: an LLM ranks the retrieved items better than the retriever did (theirs is tuned)",
    LIKES: "README: told the user's preference, it ranks better than by titles alone",
    SEES: "paper 5.2.2: told also what the user sees in each item, it ranks better still",
    NO_GUESS: "control: the ranker is better than shuffling the ten items",
    REASONS: "ours: of two models the better one ranks better with its own preferences and perceptions",
}


def table_2(corpus: Corpus, options: Options = Options()) -> Experiment:
    """CoT-Rec Table 2 on this data."""
    claims = tuple(claim for retriever in RETRIEVERS for claim in _claims(retriever, options))
    names = {claim.name for claim in claims}
    return Experiment(
        name=NAME,
        title="CoT-Rec Table 2, LLM-as-Ranker",
        protocol=_protocol(options),
        cells=(_popularity(options), *(cell for pair in _retrievers(options) for cell in _rows(*pair, options))),
        metrics=("ndcg@10", "recall@10"),
        claims=claims,
        says={name: says for name, says in SAYS.items() if name in names},
        columns=_columns(),
        measures=(AMONG_HITS, BIAS, LESS_BIAS, *((ROTATED,) if options.rotations else ())),
        labels=options.labels,
        measured=(
            f"{in_words(options.users, 'users')} of the test split, of whom a ranker is asked about those whose target "
            "was retrieved; SASRec and the texts of SASRec++ are of all users"
        ),
    )


def name_of(retriever: str, ranker: str, llm: str = "") -> str:
    """Name of a cell: "SASRec, LLM++ @extractive"; of SASRec++ the model that wrote its texts is named too."""
    return f"{retriever}, {ranker}{f' @{llm}' if llm else ''}"


def retrieved(retriever: str, options: Options, writer: str = "") -> Asked:
    """The run that only retrieves: every user's ten items, best first, without a call."""
    chosen = (("mode", "none"), ("retriever", RETRIEVERS[retriever]), *_texts(writer, options))
    return Asked(GRAPH, _READS_NOTHING, chosen, options.users)


def ranked(retriever: str, ranker: str, llm: str, options: Options) -> Asked:
    """The run that ranks the hits, in all orders that position bias is measured by."""
    chosen = {"mode": RANKERS[ranker], "retriever": RETRIEVERS[retriever], "only": "hits"}
    read = () if options.labels == "any" else (("labels", options.labels),)
    texts = _texts(llm if retriever == WITH_TEXTS else "", options)
    return Asked(GRAPH, llm, (*chosen.items(), *bias_orders(options, SHOWN), *read, *texts), options.users)


def _texts(writer: str, options: Options) -> tuple[tuple[str, str | Asked], ...]:
    """What the tables of SASRec++ start from: the runs of Table 1, over all items and all users."""
    if not writer:
        return ()
    batch, overlap = options.folds[0]
    items = Asked("cot_rec.describe", writer)
    fold = (("split", "valid"), ("batch", str(batch)), ("overlap", str(overlap)), ("descriptions", items))
    users = Asked("cot_rec.preference", writer, fold)
    return ("item_texts", items), ("user_texts", users), ("embedder", options.how.embedder)


def _retrievers(options: Options) -> list[tuple[str, str]]:
    """(retriever, model that wrote its texts), one for each model where it has any."""
    plain = [(name, "") for name in RETRIEVERS if name != WITH_TEXTS]
    return [*plain, *((WITH_TEXTS, llm) for llm in options.llms)]


def _popularity(options: Options) -> Cell:
    """The most popular items over the whole catalogue; item-CF's own numbers are those of its row without a ranker."""
    whole = most_popular()

    def cell(context: Context, seed: int) -> Told:
        return Told(only(whole(context, seed).test, SplitView(context.corpus, "test").users, options.users))

    return Cell("popularity", cell, settings={"users": named(options.users)}, anchor=True, seeded=False)


def _rows(retriever: str, writer: str, options: Options) -> Iterator[Cell]:
    lists = retrieved(retriever, options, writer)
    base = name_of(retriever, "None", writer)
    anchors = {"None": "retriever's order", "random order": "random order", "hits first": "hits first"}
    for ranker, order in anchors.items():
        yield Cell(
            name_of(retriever, ranker, writer),
            _anchor(lists, order),
            axes={"retriever": retriever, "ranker": ranker, **({"llm": writer} if writer else {})},
            settings={"order": order},
            needs=(lists,),
            base="" if ranker == "None" else base,
            anchor=ranker != "None",
            seeded=False,
            published=_printed(retriever, ranker),
            models=(writer,) if writer else (),
        )
    for llm in (writer,) if writer else options.llms:
        for ranker in RANKERS:
            asked, plain = ranked(retriever, ranker, llm, options), ranked(retriever, "LLM", llm, options)
            yield Cell(
                name_of(retriever, ranker, llm),
                _cell(lists, asked, plain),
                axes={"retriever": retriever, "ranker": ranker, "llm": llm},
                settings={"graph": str(asked)},
                needs=tuple(dict.fromkeys((lists, asked, plain))),
                base=base,
                seeded=False,
                published=_printed(retriever, ranker),
                models=(llm,),
            )


def _claims(retriever: str, options: Options) -> Iterator[Claim]:
    for llm in options.llms:
        names = {ranker: name_of(retriever, ranker, llm) for ranker in RANKERS}
        writer = llm if retriever == WITH_TEXTS else ""
        if writer:
            yield Claim(TEXTS, name_of(retriever, "None", writer), name_of("SASRec", "None"))
        for ranker in RANKERS:
            yield Claim(ANY, names[ranker], name_of(retriever, "None", writer))
            yield Claim(NO_GUESS, names[ranker], name_of(retriever, "random order", writer))
        yield Claim(LIKES, names["LLM+"], names["LLM"])
        yield Claim(SEES, names["LLM++"], names["LLM+"])
    for worse, better in pairwise(options.llms):
        yield Claim(REASONS, *(name_of(retriever, "LLM++", llm) for llm in (better, worse)))


def _anchor(lists: Asked, order: str) -> CellFunction:
    """A cell that needs no model: where the target stands among the ten, by an order that is known."""

    def cell(context: Context, _seed: int) -> Told:
        users = Retrieved(context, lists)
        rows: list[Outcome] = []
        for user, items in users.items.items():
            at = users.place(user)
            if at is None:
                rows.append(users.miss(user))
            elif order == "retriever's order":
                rows.append(Ranking(user, at, 0, users.candidates))
            else:
                rows.append(Ranking(user, 0, len(items) - 1 if order == "random order" else 0, users.candidates))
        return Told(rows, measures=_among_hits(rows))

    return cell


def _cell(lists: Asked, asked: Asked, plain: Asked) -> CellFunction:
    """A cell of a ranker: its outcomes, and its position bias beside that of the plain one."""

    def cell(context: Context, _seed: int) -> Told:
        users = Retrieved(context, lists)
        found = {users.index(r): r for r in context.artefacts.results(asked)}
        rows = [users.outcome(user, found) for user in users.items]
        done = {u: r.payload for u, r in found.items() if r.payload is not None}
        measures = _among_hits(rows)
        for name, read in ((BIAS, _bias), (ROTATED, _rotated)):
            told = {u: bias for u, payload in done.items() if (bias := read(users, u, payload)) is not None}
            if told:
                measures[name] = summarise(np.array(list(told.values())), unscored=len(found) - len(told))
            if told and name == BIAS and asked != plain:
                measures[LESS_BIAS] = _difference(users, told, context.artefacts.results(plain))
        ways = [str(payload["way"]) for payload in done.values()]
        doubts = (*of_ways(ways), *of_letters([payload["probabilities"][0] for payload in done.values()]))
        about = {"hits": len(found), READ_BY: ", ".join(sorted(set(ways)))}
        return Told(rows, about=about, measures=measures, doubts=doubts)

    return cell


class Retrieved:
    """What was retrieved for the asked users of the test split, and where their targets are among it."""

    def __init__(self, context: Context, lists: Asked) -> None:
        self._corpus, self._view = context.corpus, SplitView(context.corpus, "test")
        self.candidates = context.corpus.n_items
        self.items: dict[int, list[int]] = {}
        for result in context.artefacts.results(lists):
            assert result.payload is not None, "retrieving asks no model and cannot fail"
            self.items[self.index(result)] = list(result.payload["retrieved"])

    def index(self, result: Result) -> int:
        """The user's dense index."""
        return int(self._corpus.user_index[result.user])

    def place(self, user: int) -> int | None:
        """Where the target stands in the retriever's order, from 0; None where it was not retrieved."""
        target = self._view.target(user)
        return self.items[user].index(target) if target in self.items[user] else None

    def miss(self, user: int) -> Ranking:
        """The target is below all that was retrieved, whatever their order."""
        return Ranking(user, len(self.items[user]), 0, self.candidates)

    def outcome(self, user: int, found: dict[int, Result]) -> Outcome:
        """What a ranker made of a user: the first placement, as everybody is shown one order in the paper."""
        if self.place(user) is None:
            return self.miss(user)
        return outcome(self._view, found[user])

    def shown_at(self, user: int, payload: Any) -> int:
        """Where the target stood in the first order shown, from 0."""
        return int(payload["shown"].index(self._view.target(user)))


def _bias(users: Retrieved, user: int, payload: Any) -> float | None:
    """Sample bias of the target put at each place (spec 1.5); None where it was not asked for."""
    told = payload.get("swapped")
    return float(sample_bias([places_swapped(told)])[0]) if told else None


def _rotated(users: Retrieved, user: int, payload: Any) -> float | None:
    """Sample bias over the rotations: where the target was ranked when it stood at each place."""
    first, told = users.shown_at(user, payload), payload["probabilities"]
    return float(sample_bias([places_rotated(told, first)])[0]) if len(told) == len(payload["shown"]) else None


def _among_hits(rows: Sequence[Outcome]) -> dict[str, Summary]:
    """NDCG@10 of the users whose target was retrieved; nothing where there are none."""
    hits = [row for row in rows if isinstance(row, Ranking) and row.better < SHOWN]
    if not hits:
        return {}
    values: Floats = metric("ndcg@10").rankings([r.better for r in hits], [r.ties for r in hits])
    return {AMONG_HITS: summarise(values)}


def _difference(users: Retrieved, bias: dict[int, float], plain: Sequence[Result]) -> Summary:
    """Mean difference of the biases over the users that both rankers answered, with its paired interval."""
    told = {users.index(r): _bias(users, users.index(r), r.payload) for r in plain if r.payload is not None}
    theirs = {user: found for user, found in told.items() if found is not None}
    common = sorted(set(bias) & set(theirs))
    found = compare(np.array([bias[u] for u in common]), np.array([theirs[u] for u in common]))
    return Summary(found.difference, found.low, found.high, found.n, interval="paired bootstrap over users")


def _printed(retriever: str, ranker: str) -> dict[str, dict[str, float]]:
    """What was printed for the ranker on a recommender without texts ("CRM") and with them ("CRM++")."""
    if retriever not in _PRINTED:
        return {}
    found: dict[str, dict[str, float]] = {}
    for row in _published_rows():
        if row.method == f"{_PRINTED[retriever]},{ranker}" and row.value is not None:
            found.setdefault(_column(row), {})[row.our_metric] = row.value
    return found


def _columns() -> dict[str, str]:
    return {_column(row): row.where for row in _published_rows()}


def _published_rows() -> list[Published]:
    return [*published(experiment="CoT-Rec.T2"), *published(experiment="CoT-Rec.README.T2")]


def _column(row: Published) -> str:
    return f"CoT-Rec {row.dataset}" + ("" if row.backbone == "SASRec" else f" {row.backbone}")


def _protocol(options: Options) -> str:
    return (
        "leave-two-out, test targets; ten items of the full catalogue are retrieved (seen ones left out) and ranked by "
        "the probabilities of their letters in one seeded shuffle, equals in expected order; NDCG over all users, 0 "
        "where the target was not retrieved; rankers called tuned:NAME are tuned, others are not; preferences are made "
        "from s[:-1]; "
        f"{bias_in_words(options)}, over users whose target was retrieved; published rows are those of CRM beside "
        "SASRec and of CRM++ beside SASRec++, whose users start from preferences of s[:-2]; "
        f"{in_words(options.users, 'users')} of the split; {labels_in_words(options)}"
    )
