"""CoT-Rec's tables (Liu et al., "Improving LLM-powered Recommendations with Personalized Information", 2025).

`table_1` is CRM-as-Retriever: where the recommender's item table and its user token start. The paper shows 7 of the 9
cells of user {None, Random, Preference} x item {Random, Caption, Description}; here are all 9, and what the paper lacks
to make its point: random rows of the text rows' norms, popularity and item-CF, SASRec with the loss the field usually
prints, the data set's own descriptions where it has them, other batch sizes of the fold, and several language models
side by side (on `world`, models of known quality: do better reasons give better recommendations?).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from evals.artefacts import Source, has_descriptions
from evals.experiment import Cell, Claim, Experiment, Range
from evals.inputs.training import (
    Backbone,
    NetworkSettings,
    Start,
    Training,
    item_cf,
    of_plugin,
    over_some,
    popularity,
    trained,
)
from evals.output.published import Published, published
from evals.registry import Options
from rec_models import presets
from rec_models.fit import FitSettings
from rec_models.kinds import digest_of
from whyrec.data.corpus import Corpus
from whyrec.data.some import in_words, named

NAME = "cot_rec.table_1"
METRICS = ("recall@10", "ndcg@10")
BACKBONES: tuple[Backbone, ...] = ("SASRec", "BERT4Rec")

TEXT, DESCRIPTION, PREFERENCE = "text beats random", "description beats caption", "preference helps"
LENGTH, ITEM_CF = "not just the norm", "the backbone is no straw man"
REASONS, FOLD = "better reasons help", "smaller batches help"
UPSTREAM, EMBEDDER = "a model's description beats the shop's", "another embedder reads better"

SAYS = {
    TEXT: "paper 5.2.1: items started from text rank better than items started at random",
    DESCRIPTION: "paper 5.2.1: a description tells more than a caption",
    PREFERENCE: "paper 5.2.1: users started from their preference beat no user and a random one",
    LENGTH: "control: what text brings is not the length of its rows",
    ITEM_CF: "control: the backbone beats item-CF",
    REASONS: "ours: preferences and descriptions of a better model rank better",
    FOLD: "ours: a fold of smaller batches makes better preferences",
    UPSTREAM: "ours: what a model wrote of an item tells more than the data set's own description",
    EMBEDDER: "ours: the same texts read by a further embedder rank better than by the first",
}

_ANOTHERS = "Another user's "
_USERS: tuple[Start, ...] = ("none", "random")
_SAME_DATA = {
    "amazon14_beauty": "Beauty",
    "amazon14_sports": "Sports",
    "yelp_s3rec": "Yelp",
    "amazon18_instruments_lcrec": "Instruments",
}


def table_1(corpus: Corpus, options: Options = Options()) -> Experiment:
    """CoT-Rec Table 1 on this data."""
    claims = tuple(claim for backbone in BACKBONES for claim in _all_claims(corpus, backbone, options))
    return Experiment(
        name=NAME,
        title="CoT-Rec Table 1, CRM-as-Retriever",
        protocol=_protocol(options),
        cells=(*_anchors(options), *(cell for backbone in BACKBONES for cell in _grid(corpus, backbone, options))),
        metrics=METRICS,
        claims=claims,
        says={name: says for name, says in SAYS.items() if any(c.name == name for c in claims)},
        columns=_columns(corpus),
        ranges=_ranges(corpus, options),
        measured=_measured(options),
    )


def name_of(
    backbone: Backbone, user: Start, item: Start, *, loss: str = "", by: str = "", anothers: bool = False
) -> str:
    """Name of a cell: "SASRec user=Preference,item=Description @extractive"; `by` names an embedder but the first."""
    models = sorted({s.llm for s in (user, item) if isinstance(s, Source) and s.llm})
    name = f"{backbone} user={_ANOTHERS + label(user).lower() if anothers else label(user)},item={label(item)}"
    reader = [f"by {by}"] if by and _reads_texts(user, item) else []
    return " ".join([name, *([f"loss={loss}"] if loss else []), *(f"@{llm}" for llm in models), *reader])


def _reads_texts(user: Start, item: Start) -> bool:
    return isinstance(user, Source) or isinstance(item, Source)


def _embedder_name(embedder: str) -> str:
    """An embedder in a cell's name: of a folder only its last part."""
    return embedder.rstrip("/").rpartition("/")[2]


def label(start: Start) -> str:
    """What the paper calls this start of a table ("Preference"), or what we do ("Random(norm-matched)")."""
    if isinstance(start, Source):
        fold = f" {start.batch}/{start.overlap}" if start.what == "preference" and not _first_fold(start) else ""
        return {"upstream": "Upstream description"}.get(start.what, start.what.capitalize()) + fold
    return "Random(norm-matched)" if start == "matched" else start.capitalize()


def _anchors(options: Options) -> Iterator[Cell]:
    settings = {"mask_seen": options.mask_seen, **_users(options)}
    cells = {"popularity": popularity(mask_seen=options.mask_seen), "item-CF": item_cf(mask_seen=options.mask_seen)}
    for name, function in cells.items():
        measured = over_some(function, options.users)
        yield Cell(name, measured, settings={"model": name, **settings}, anchor=True, seeded=False)
    for name in options.recommenders:
        measured = over_some(of_plugin(name, mask_seen=options.mask_seen), options.users)
        yield Cell(name, measured, settings={"model": name, "plugin": digest_of(name), **settings})


def _grid(corpus: Corpus, backbone: Backbone, options: Options) -> Iterator[Cell]:
    """The whole grid by the first embedder, and those cells that read texts by each further one."""
    yield from _cells(corpus, backbone, options)
    for embedder in options.embedders:
        other = replace(options, how=replace(options.how, embedder=embedder))
        for user, item in _texts_read(corpus, options):
            yield _cell(corpus, backbone, other, user, item)


def _texts_read(corpus: Corpus, options: Options) -> Iterator[tuple[Start, Start]]:
    """(user, item) of the cells that tell embedders apart: items' texts alone, and with users' preferences."""
    own: list[Start] = [Source("caption"), *([Source("upstream")] if has_descriptions(corpus) else [])]
    for item in own:
        yield "none", item
    for llm in options.llms:
        yield "none", Source("description", llm)
        for item in (*own, Source("description", llm)):
            yield _preferences(llm, options)[0], item


def _cells(corpus: Corpus, backbone: Backbone, options: Options) -> Iterator[Cell]:
    """Cells without a language model, those of each model, and the controls."""
    cell, caption = partial(_cell, corpus, backbone, options), Source("caption")
    given: list[Start] = ["random", caption, *([Source("upstream")] if has_descriptions(corpus) else [])]
    for user in _USERS:
        for item in given:
            yield cell(user, item)
    for llm in options.llms:
        description = Source("description", llm)
        first, *others = _preferences(llm, options)
        for user in _USERS:
            yield cell(user, description)
        for item in (*given, description):
            yield cell(first, item)
        for fold in others:
            yield cell(fold, description)
        yield cell("matched", description)
        if backbone == "SASRec":
            yield cell(first, caption, variant=_ANOTHERS)
    yield cell("none", "matched")
    yield cell("matched", caption)
    if backbone == "SASRec":
        yield cell("none", "random", variant="bce")


def _cell(corpus: Corpus, backbone: Backbone, options: Options, user: Start, item: Start, *, variant: str = "") -> Cell:
    """A trained cell; `variant` is another loss, or that every user starts from the text of another (`_ANOTHERS`)."""
    anothers = variant == _ANOTHERS
    loss = "" if anothers else variant
    network, fitting = preset(backbone, corpus, options, loss=loss)
    training = Training(backbone, network, fitting, item, user, options.how, options.mask_seen, anothers)
    models = {s.llm for s in (user, item) if isinstance(s, Source) and s.llm}
    axes = {"backbone": backbone, "user": label(user), "item": label(item), "llm": " ".join(models), "loss": loss}
    reader = options.how.embedder
    by = _embedder_name(reader) if reader in options.embedders else ""
    if _reads_texts(user, item) and options.embedders:
        axes["embedder"] = _embedder_name(reader)
    return Cell(
        name_of(backbone, user, item, loss=loss, by=by, anothers=anothers),
        over_some(trained(training, cache=options.cache), options.users),
        axes={axis: value for axis, value in axes.items() if value},
        settings={**training.settings, **_users(options)},
        needs=training.needs,
        base="" if (user, item, loss) == ("none", "random", "") else name_of(backbone, "none", "random"),
        anchor=anothers,
        published={} if anothers else _printed(corpus, backbone, f"user={label(user)},item={label(item)}", loss=loss),
        quick=_cut(backbone, corpus, options, loss=loss),
        models=tuple(sorted(models)),
    )


def _users(options: Options) -> dict[str, Any]:
    """What of the settings says whom is measured; nothing where all are, which is how most tables were made."""
    return {} if options.users is None else {"users": named(options.users)}


def _all_claims(corpus: Corpus, backbone: Backbone, options: Options) -> Iterator[Claim]:
    """The claims by the first embedder; by each further one those about texts, and whether it reads better."""
    name = partial(name_of, backbone)
    yield from _claims(backbone, options)
    described = has_descriptions(corpus)
    for by in ("", *map(_embedder_name, options.embedders)):
        for llm in options.llms if described else ():
            yield Claim(
                UPSTREAM, *(name("none", item, by=by) for item in (Source("description", llm), Source("upstream")))
            )
    for embedder in options.embedders:
        by, caption = _embedder_name(embedder), Source("caption")
        yield Claim(TEXT, name("none", caption, by=by), name("none", "random"))
        for llm in options.llms:
            written, prefers = Source("description", llm), _preferences(llm, options)[0]
            yield Claim(TEXT, name("none", written, by=by), name("none", "random"))
            for user in ("none", prefers):
                yield Claim(DESCRIPTION, name(user, written, by=by), name(user, caption, by=by))
            for item in (caption, written):
                yield Claim(PREFERENCE, name(prefers, item, by=by), name("none", item, by=by))
        for pair in _texts_read(corpus, options):
            yield Claim(EMBEDDER, name(*pair, by=by), name(*pair))


def _claims(backbone: Backbone, options: Options) -> Iterator[Claim]:
    """The paper's three claims, our controls, and what several models or folds allow to ask."""
    name, caption = partial(name_of, backbone), Source("caption")
    base = name("none", "random")
    yield Claim(TEXT, name("none", caption), base)
    yield Claim(LENGTH, name("none", caption), name("none", "matched"))
    if backbone == "SASRec":
        yield Claim(ITEM_CF, base, "item-CF")
    for llm in options.llms:
        description = Source("description", llm)
        first, *others = _preferences(llm, options)
        yield Claim(TEXT, name("none", description), base)
        for user in (*_USERS, first):
            yield Claim(DESCRIPTION, name(user, description), name(user, caption))
        for item in (caption, description):
            yield Claim(PREFERENCE, name(first, item), name("none", item))
            yield Claim(PREFERENCE, name(first, item), name("random", item))
            yield Claim(LENGTH, name(first, item), name("matched", item))
        for fold in others:
            smaller, larger = sorted((fold, first), key=lambda source: source.batch)
            yield Claim(FOLD, name(smaller, description), name(larger, description))
    for worse, better in pairwise(options.llms):
        pairs = [(Source("description", llm), _preferences(llm, options)[0]) for llm in (better, worse)]
        yield Claim(REASONS, *(name("none", described) for described, _preferred in pairs))
        yield Claim(REASONS, *(name(preferred, caption) for _described, preferred in pairs))
        yield Claim(REASONS, *(name(preferred, described) for described, preferred in pairs))


def preset(
    backbone: Backbone, corpus: Corpus, options: Options, *, loss: str = ""
) -> tuple[NetworkSettings, FitSettings]:
    """Settings chosen on validation, the same in all cells of a backbone."""
    network, fitting = presets.settings(f"{backbone} {loss}".strip(), corpus)
    epochs = fitting.epochs if options.epochs is None else min(options.epochs, fitting.epochs)
    return network, replace(fitting, epochs=epochs, mask_seen=options.mask_seen)


def _cut(backbone: Backbone, corpus: Corpus, options: Options, *, loss: str) -> str:
    """Why a cell trained for less than the preset's epochs is only a quick look; "" where it is not."""
    full = preset(backbone, corpus, replace(options, epochs=None), loss=loss)[1].epochs
    if options.epochs is None or options.epochs >= full:
        return ""
    return f"training was cut at {options.epochs} epoch{'s' if options.epochs > 1 else ''} of at most {full}"


def _preferences(llm: str, options: Options) -> list[Source]:
    return [Source("preference", llm, batch=batch, overlap=overlap) for batch, overlap in options.folds]


def _first_fold(source: Source) -> bool:
    """Whether it is read with the batches of spec 2.a, which names leave out."""
    return (source.batch, source.overlap) == (Source("preference").batch, Source("preference").overlap)


def _printed(corpus: Corpus, backbone: Backbone, method: str, *, loss: str = "") -> dict[str, dict[str, float]]:
    """What was printed for this cell: CoT-Rec's value on each of its data sets (its loss is full cross-entropy), and
    SCoTER's of the plain backbone on our data set (whose loss is not stated).
    """
    experiment = "CoT-Rec.T1" if backbone == "SASRec" else "CoT-Rec.README.T1"
    rows = [(_column(row), row) for row in published(experiment=experiment) if row.method == method and not loss]
    ours = _SAME_DATA.get(_base_name(corpus), "")
    if ours and method == "user=None,item=Random":
        same = published(experiment="SCoTER.T1", dataset=ours)
        rows += [(_column(row), row) for row in same if row.method.lower() == backbone.lower()]
    found: dict[str, dict[str, float]] = {}
    for column, row in rows:
        if row.value is not None:
            found.setdefault(column, {})[row.our_metric] = row.value
    return found


def _columns(corpus: Corpus) -> dict[str, str]:
    """Published columns and what each is."""
    first = {_column(row): row for row in published(experiment="CoT-Rec.T1")}
    columns = {
        column: f"{row.where}; BERT4Rec rows from the README of the paper's repository" for column, row in first.items()
    }
    ours = _SAME_DATA.get(_base_name(corpus), "")
    if ours:
        row = published(experiment="SCoTER.T1", dataset=ours)[0]
        same = "of the data set without the options here" if "?" in corpus.name else "the same interactions as here"
        columns[_column(row)] = f"{row.where}; {same}, its masking is not stated"
    return columns


def _column(row: Published) -> str:
    return f"{'CoT-Rec' if row.paper == 'cotrec' else 'SCoTER'} {row.dataset}"


def _base_name(corpus: Corpus) -> str:
    """The data set's folder name, without path and options."""
    return Path(corpus.name.partition("?")[0]).name


def _protocol(options: Options) -> str:
    seen = "items of the history shown are left out" if options.mask_seen else "seen items stay in the ranking"
    return (
        "leave-two-out (last event test, the one before validation), every item of the catalogue ranked, "
        f"{seen}, equal scores in expected order; settings chosen and training stopped on validation NDCG@10; "
        "preferences are made from s[:-2] only."
    )


def _measured(options: Options) -> str:
    everybody = (
        ""
        if options.users is None
        else (
            "; models write about all users and recommenders train on all of them whatever --users says "
            "(?users=N after the data set's name cuts the data)"
        )
    )
    return f"{in_words(options.users, 'users')} of the test split{everybody}"


def _ranges(corpus: Corpus, options: Options) -> tuple[Range, ...]:
    """Spec 9.5, for the data it speaks of; a quick look and some of the users have none."""
    if options.epochs or options.users:
        return ()
    if (_base_name(corpus), corpus.n_users) != ("amazon14_beauty", 22_363) or not options.mask_seen:
        return ()
    full, one = name_of("SASRec", "none", "random"), name_of("SASRec", "none", "random", loss="bce")
    strong = "LETTER issue #20 and the eSASRec repository"
    return (
        Range(full, "recall@10", 0.075, 0.100, strong),
        Range(full, "ndcg@10", 0.036, 0.058, strong),
        Range(one, "recall@10", 0.055, 0.075, "published rows of the S3-Rec family"),
        Range(one, "ndcg@10", 0.028, 0.042, "published rows of the S3-Rec family"),
    )
