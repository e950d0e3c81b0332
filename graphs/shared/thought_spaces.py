"""A thought space for a data set, learnt from a run of pulse.rationale, for any graph that weighs reasons.

    learnt(source, Learning(rationales="pulse.rationale-..."), embedder) -> ThoughtSpace

What a space is learnt from is fixed by the leakage matrix of spec 8: rationales of the train split, each joined to the
behaviour text of exactly the history it was written for. A learnt space is kept in `$WHYREC_HOME/thought_spaces` under
a digest of everything it follows from, so it is trained once, and whoever comes next reads it.

Unusual: a run may grow (more users), and then other rationales would make another space under the same name. So the
option is resolved to "<run id>@<digest of its results>", which is part of the identity of whatever is made with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from graphs.shared.behaviour import LEAK, Told, behaviour_text
from graphs.shared.earlier_run import open_earlier
from graphs.workflow import Source
from whyrec.data.corpus import Corpus
from whyrec.data.some import Drawn, some
from whyrec.data.split import SplitView
from whyrec.embed import Embedder
from whyrec.errors import LeakageError, UsageError
from whyrec.llm.weights.digest import revision_of
from whyrec.runs import Result, RunReader, list_runs, open_run

if TYPE_CHECKING:
    from rec_models.thought_space.fit import Pairs
    from rec_models.thought_space.space import ThoughtSpace

RATIONALES = "pulse.rationale"
NONE = "none"
HEAD = "head"
_FOLDER = "thought_spaces"
# raised when spaces change although what they are digested by does not; since 2, those who teach one are drawn
_GENERATION = 2


@dataclass(frozen=True)
class Learning:
    """What a space is learnt from, and how.

    Attributes:
        rationales: a run of pulse.rationale, as `resolved` gives it, or "none" for a space that learns nothing: then
            it scores the plain cosine of the embedder's vectors.
        told: whether behaviour texts also name the train target in half of the epochs (target dropout).
        encoder: "head" over the embedder, or the folder or hub name of a text encoder to fine-tune.
        learners: at most this many users' rationales, drawn at random and always the same (whyrec/data/some.py).
        seed: of order, negatives and the users held out.
    """

    rationales: str
    told: Told = "never"
    encoder: str = HEAD
    learners: int = 5000
    seed: int = 0


def resolved(source: Source, given: str) -> str:
    """The option naming rationales, in full: "<run id>@<digest>", or "none".

    Args:
        source: the data, and where runs lie.
        given: a run id, or its beginning, perhaps with "@<digest>"; "none"; "" for the one run there is over this data.

    Raises:
        UsageError: there is no such run, or several; it is a run of another graph or of other data; it has changed.
    """
    if given == NONE:
        return NONE
    name, _, digest = given.partition("@")
    run = open_earlier(source.home, name or _only_run(source), RATIONALES)
    try:
        if (data := run.info()["data_digest"]) != source.corpus.digest:
            raise UsageError(
                f"Run {run.id} explains users of other data ({run.info()['data']}, digest {data}), not of "
                f"{source.corpus.name}. Name a run of {RATIONALES} over this data, or rationales=none."
            )
        now = run.digest()
        if digest and digest != now:
            raise UsageError(
                f"Run {run.id} has other results now ({now}) than it had ({digest}). Name the run without the part "
                "after @ to learn from what it has now."
            )
        return f"{run.id}@{now}"
    finally:
        run.close()


def leaks_of(source: Source, rationales: str) -> tuple[str, ...]:
    """What leaks in resolved rationales, in words; () if nothing does."""
    if rationales == NONE:
        return ()
    run = open_run(source.home, rationales.partition("@")[0])
    try:
        return () if _is_train(run) else (f"rationales were made from test targets ({LEAK})",)
    finally:
        run.close()


def learnt(source: Source, how: Learning, embedder: Embedder) -> ThoughtSpace:
    """The space, trained at the first call and read from its folder afterwards.

    Args:
        source: the data, and where spaces are kept.
        how: with resolved rationales.
        embedder: heads are trained over it; a text encoder does without.

    Raises:
        UsageError: too few rationales, or an encoder that cannot be loaded.
        LeakageError: a rationale was written for another history than the one it is joined to.
    """
    from rec_models.thought_space.fit import fit_space
    from rec_models.thought_space.space import ThoughtSpace

    if how.rationales == NONE:
        return untrained(how, embedder)
    folder = space_folder(source, how, embedder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    over = embedder if how.encoder == HEAD else None
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "space.json").exists():
            space = untrained(how, embedder)
            report = fit_space(space, pairs_of(source, how), seed=how.seed)
            note = {"data": source.corpus.name, "learning": asdict(how), "leaks": leaks_of(source, how.rationales)}
            space.save(folder, note={**note, "fit": asdict(report)})
    return ThoughtSpace.load(folder, embedder=over)


def untrained(how: Learning, embedder: Embedder) -> ThoughtSpace:
    """The space before training."""
    from rec_models.thought_space.space import ThoughtSpace

    return ThoughtSpace.over(embedder) if how.encoder == HEAD else ThoughtSpace.from_transformer(how.encoder)


def space_folder(source: Source, how: Learning, embedder: Embedder) -> Path:
    """Where the space of this learning is kept."""
    from rec_models.checkpoint import digest

    told = asdict(how)
    if how.encoder != HEAD:  # what is in it, wherever it lies
        told["encoder"] = revision_of(how.encoder) or how.encoder
    over = embedder.name if how.encoder == HEAD else told["encoder"]
    name = digest(_GENERATION, source.corpus.digest, sorted(told.items()), over)
    return source.home / _FOLDER / f"{Path(source.corpus.name.partition('?')[0]).name.replace(':', '-')}-{name}"


def pairs_of(source: Source, how: Learning) -> Pairs:
    """The rationales of a run, each with the behaviour text of the history it was written for.

    Raises:
        LeakageError: a rationale was written for another history.
    """
    run = open_run(source.home, how.rationales.partition("@")[0])
    try:
        view = SplitView(source.corpus, "train" if _is_train(run) else "test")
        return pairs_from(view, _drawn(source.corpus, run.results("done"), how.learners), told=how.told)
    finally:
        run.close()


def _drawn(corpus: Corpus, results: Iterable[Result], most: int) -> list[Any]:
    """Payloads of at most so many users, drawn: more hold fewer, and who stands first in the file plays no part."""
    told = [(int(corpus.user_index[result.user]), result.payload) for result in results]
    drawn = set(some(np.array(sorted({user for user, _ in told}), dtype=np.int64), Drawn(most)).tolist())
    return [payload for user, payload in told if user in drawn]


def pairs_from(view: SplitView, payloads: Iterable[Any], *, told: Told = "never") -> Pairs:
    """Results of pulse.rationale over a split as pairs to learn from; errors as in `pairs_of`."""
    from rec_models.thought_space.fit import Pairs

    rows = [_row(view, payload) for payload in payloads]
    users, targets, rationales, behaviours, named = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    named = () if told == "never" else named
    return Pairs(np.array(users, np.int64), np.array(targets, np.int64), rationales, behaviours, named)


def _row(view: SplitView, payload: Any) -> tuple[int, int, str, str, str]:
    corpus: Corpus = view.corpus
    user = corpus.user_index[payload["user"]]
    if payload["prefix"] != view.prefix_digest(user) or int(payload["index"]) != view.target(user):
        raise LeakageError(
            f"The rationale of user {payload['user']} was written for another history or item than the {view.split} "
            f"split's. Run {RATIONALES} again on this data."
        )
    history = view.example(user).history
    target = corpus.item(int(payload["index"]))
    texts = behaviour_text(history), behaviour_text(history, target=target)
    return user, target.index, str(payload["text"]), *texts


def _is_train(run: RunReader) -> bool:
    options = json.loads(run.info()["settings"])["options"]
    return bool(options["target"] == "train")


def _only_run(source: Source) -> str:
    """The one run of honest rationales over this data.

    Raises:
        UsageError: there is none, or there are several.
    """
    found = []
    for info in list_runs(source.home):
        if info.graph == RATIONALES and info.counts.done:
            run = open_run(source.home, info.id)
            try:
                if run.info()["data_digest"] == source.corpus.digest and _is_train(run):
                    found.append(f"{info.id} (by {info.model}, {info.counts.done:,} users)")
            finally:
                run.close()
    if len(found) == 1:
        return found[0].partition(" ")[0]
    if found:
        raise UsageError(
            f"There are {len(found)} runs of {RATIONALES} over {source.corpus.name}: {'; '.join(found)}. "
            "Name the one to learn the thought space from (option rationales)."
        )
    raise UsageError(
        f"A thought space is learnt from rationales, and there is no run of {RATIONALES} over {source.corpus.name} in "
        f"{source.home}. Run this first: whyrec run {RATIONALES} --data {source.corpus.name} --llm MODEL. Or go "
        "without: option rationales=none scores the plain cosine."
    )


def with_rationales(source: Source, how: Learning) -> Learning:
    """The same learning with its rationales resolved."""
    return replace(how, rationales=resolved(source, how.rationales))
