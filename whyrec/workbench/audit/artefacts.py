"""What a run builds on: earlier runs, and what was trained for it and is kept in `$WHYREC_HOME`.

An earlier run has to be of a split that may be read here, and of the same data. A trained artefact has to say what it
was trained on, and where its name is a digest of that, the digest is made again. What is gone cannot be checked, and
is said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from graphs.rallrec.expert import expert_file
from graphs.rallrec.rows import rows_of
from graphs.workflow import Source, recorded_options, workflow
from whyrec.data.split import SplitView
from whyrec.errors import UnknownNameError, UsageError
from whyrec.plugins.rules import LEAK, Builds
from whyrec.runs import RunReader, open_run
from whyrec.workbench.audit.findings import Findings
from whyrec.workbench.audit.places import strings
from whyrec.workbench.audit.rules import earlier_of, switch_of
from whyrec.workbench.audit.scopes import options_of

_ORDER = ("train", "valid", "test")
_TREES = ("pulse.refine", "pulse.choose")
_NO_RUN = ("", "none", "own", "placebo")  # values that name no run
_DESCRIBING = ("cot_rec.describe", "rallrec.describe")


class Artefacts:
    """Checks what a run builds on.

    Args:
        run: the run.
        source: its data, and where earlier runs and artefacts lie.
        findings: told what is wrong.
    """

    def __init__(self, run: RunReader, source: Source, findings: Findings) -> None:
        self._info, self._source, self._findings = run.info(), source, findings
        self.graph, self.options = str(self._info["graph"]), options_of(self._info)
        self.described: dict[str, set[str]] = {}
        self._texts: set[int] = set()

    @property
    def texts(self) -> frozenset[int]:
        """Hashes of all texts in the results of the runs it builds on."""
        return frozenset(self._texts)

    def check(self) -> None:
        """Check everything, switches first: they say what is expected to leak."""
        self._switches()
        for option, builds in earlier_of(self.graph).items():
            given = str(self.options.get(option, ""))
            if given not in _NO_RUN:
                self._earlier(option, given, builds)
        if self.graph in _TREES:
            self._space()
        elif self.graph == "rallrec.predict" and self.options.get("expert") == "logistic":
            self._expert()
        elif self.graph == "cot_rec.recommend":
            self._retrieved()
        elif self.graph == "hotpotqa.react":
            self._named_space()

    def _switches(self) -> None:
        for option, value in self.options.items():
            if not str(value).endswith(LEAK):
                continue
            switch = switch_of(self.graph, option)
            self._findings.count("switches that leak on purpose")
            what = switch.what if switch else "leaks in a way that its graph does not declare"
            self._findings.add("oracle", f"option {option}={value}", f"{what}: asked for by name, and not hidden")
            if switch is not None:
                self._findings.lifted |= switch.lifts

    def _earlier(self, option: str, given: str, builds: Builds) -> None:
        """One option that names an earlier run (or, as templates do, something that needs none)."""
        where = f"option {option}={given}"
        name, _, digest = given.removeprefix("qa:").partition("/")[0].partition("@")
        try:
            run = open_run(self._source.home, name)
        except (UnknownNameError, UsageError):
            if option not in ("template", "space"):
                self._findings.note("gone", where, "this run is gone, so what it was made from cannot be checked")
            return
        try:
            self._findings.count("earlier runs")
            info = run.info()
            if builds.same_data and info["data_digest"] != self._info["data_digest"]:
                self._findings.add("data", where, f"is a run over other data ({info['data']}, {info['data_digest']})")
            if digest and digest != run.digest():
                self._findings.note("changed", where, "has other results now than when this run read it")
            self._split(where, run, builds)
            self._remember(run, info["graph"])
        finally:
            run.close()

    def _split(self, where: str, run: RunReader, builds: Builds) -> None:
        options = options_of(run.info())
        if run.info()["graph"] == "pulse.rationale":
            split = "train" if options["target"] == "train" else "test"
        else:
            split = str(options.get("split", ""))
        mine = str(self.options.get("split", ""))
        allowed = {s for s in builds.splits if s not in ("same", "earlier")}
        allowed |= {mine} if "same" in builds.splits else set()
        if "earlier" in builds.splits and mine in _ORDER:
            allowed |= set(_ORDER[: _ORDER.index(mine)])
        leaks = [f"{name}={value}" for name, value in options.items() if str(value).endswith(LEAK)]
        if leaks:
            self._findings.add("oracle", where, f"was made with {', '.join(leaks)}, so what is learnt from it leaks")
        elif split not in allowed:
            self._findings.add("split", where, f"was made for the {split or 'no'} split: {builds.why}")

    def _remember(self, run: RunReader, graph: str) -> None:
        """What it said, so that it is known where a text comes from; and what it wrote of items."""
        for result in run.results("done"):
            payload = result.payload or {}
            if graph in _DESCRIBING:
                self.described.setdefault(str(payload["item"]), set()).update((payload["text"], payload["text"][:700]))
            else:
                self._texts.update(map(hash, strings(payload)))

    def _space(self) -> None:
        """The thought space a tree is weighed in: kept where its data and learning say, and with a note of them."""
        from graphs.shared import thought_spaces as spaces
        from whyrec.data.text import captions
        from whyrec.embed import open_embedder

        given = str(self.options.get("rationales", ""))
        if given in ("", spaces.NONE):
            return
        how = spaces.Learning(
            given,
            told=self.options["behaviour"],
            encoder=self.options["encoder"],
            learners=self.options["learners"],
            seed=self.options["seed"],
        )
        embedder = open_embedder(
            self.options["embedder"], fit_on=captions(self._source.corpus), cache=self._source.home / "embedders"
        )
        folder = spaces.space_folder(self._source, how, embedder)
        where = f"thought space {folder.name}"
        if not (folder / "space.json").exists():
            self._findings.note("gone", where, "this thought space is gone, so what it learnt from cannot be checked")
            return
        self._findings.count("thought spaces")
        note = json.loads((folder / "space.json").read_text(encoding="utf-8")).get("note", {})
        if note.get("learning") != asdict(how):
            self._findings.add("artefact", where, "does not say that it learnt from what this run's options name")
        if note.get("leaks"):
            self._findings.add("oracle", where, f"says of itself: {'; '.join(note['leaks'])}")
        else:
            self._rationales(given.partition("@")[0], where)

    def _rationales(self, name: str, where: str) -> None:
        """Every rationale a space learnt from explains the train target of exactly its history."""
        try:
            run = open_run(self._source.home, name)
        except (UnknownNameError, UsageError):
            return
        view = SplitView(self._source.corpus, "train")
        try:
            for result in run.results("done"):
                payload: Mapping[str, Any] = result.payload or {}
                user = view.corpus.user_index.get(result.user)
                self._findings.count("rationales a thought space learnt from")
                if user is None or (payload["prefix"], payload["index"]) != (
                    view.prefix_digest(user), view.target(user)
                ):  # fmt: skip
                    self._findings.add("artefact", where, f"learnt from {result.key}, which explains no train target")
        finally:
            run.close()

    def _named_space(self) -> None:
        """A space that a graph over questions was given: it says on what data it was learnt, and it is that one."""
        from graphs.shared.reasons import PLAIN, RANDOM

        space = str(self.options.get("space", ""))
        if space in ("", PLAIN, RANDOM):
            return
        if space.startswith("qa:"):
            self._other_questions(space)
            return
        file = Path(space) / "space.json"
        if not file.exists():
            self._findings.note("gone", f"thought space {space}", "is gone, so what it learnt from cannot be checked")
            return
        self._findings.count("thought spaces")
        note = json.loads(file.read_text(encoding="utf-8")).get("note", {})
        if not note.get("data"):
            self._findings.add("artefact", f"thought space {space}", "does not say what it was learnt from")

    def _other_questions(self, space: str) -> None:
        """A space learnt from questions: none of them is asked in this run."""
        name = space.removeprefix("qa:").partition("@")[0]
        try:
            run = open_run(self._source.home, name)
        except (UnknownNameError, UsageError):
            return
        asked = {question.id for question in self._source.questions.questions}
        try:
            shared = sum(str((result.payload or {}).get("question")) in asked for result in run.results("done"))
        finally:
            run.close()
        if shared:
            self._findings.add("artefact", f"option space={space}", f"learnt from {shared} of the questions asked here")

    def _expert(self) -> None:
        """The regression whose opinion is shown: kept under a digest of its train rows, and saying so."""
        options = recorded_options(workflow(self.graph), self.options)
        rows = rows_of(self._source, options)
        file = expert_file(
            self._source.home / "experts",
            rows.digest,
            options,
            train_rows=options.expert_rows,
            folds=options.expert_folds,
        )
        if not file.exists():
            self._findings.note("gone", f"expert {file.name}", "is gone, so what it was fitted on cannot be checked")
            return
        self._findings.count("experts")
        told = json.loads(file.read_text(encoding="utf-8")).get("trained_on")
        if told is None:
            self._findings.note("artefact", f"expert {file.name}", "was made before experts said what they learnt from")
        elif told != {"rows": rows.digest, "split": "train"}:
            self._findings.add("artefact", f"expert {file.name}", f"says that it was fitted on {told}")

    def _retrieved(self) -> None:
        """The lists of a recommender: kept under the digest of data and settings, and without what a user has met."""
        import numpy as np

        name, n = self.options["retriever"], self.options["candidates"]
        if name == "frozen":
            return
        view = SplitView(self._source.corpus, self.options["split"])
        digest = self._digest(name, view)
        file = self._source.home / "retrieved" / f"{name}-{view.split}-{n}-{digest}.npy"
        if not file.exists():
            self._findings.note("gone", f"lists {file.name}", "are gone, so what they were made from cannot be checked")
            return
        self._findings.count("retrieved lists", len(view.users))
        lists = np.load(file)
        if name == "item_cf":
            self._again(file.name, lists, view)
            return
        state = file.parent / f"{name}-{digest}" / "state.json"
        if not state.exists():
            self._findings.note("gone", f"{name}-{digest}", "the fit is gone, only the lists it made are there")
            return
        self._findings.count("fits of recommenders")

    def _digest(self, name: str, view: SplitView) -> str:
        """The digest that these lists are kept under, of the data's digest and all settings."""
        from graphs.cot_rec import written
        from graphs.shared import retriever as lists

        seed = self.options["seed"]
        if name == "item_cf":
            return lists.item_cf(self._source, view, seed)[0]
        if name == "sasrec":
            return lists.sasrec(self._source, view, seed)[0]
        texts = written.table_texts(
            self._source, self.options["item_texts"], self.options["user_texts"], self.options["embedder"]
        )
        return lists.sasrec_texts(self._source, view, seed, texts)[0]

    def _again(self, name: str, lists: Any, view: SplitView) -> None:
        """Item-CF is counted again from the training events: the lists have to come out the same."""
        from graphs.shared.retriever import counted

        made = counted(self._source, view, lists.shape[1])
        if (wrong := int((made != lists).any(axis=1).sum())) > 0:
            self._findings.add("artefact", f"lists {name}", f"{wrong} users' lists do not follow from training events")
