"""Language models tuned: on rows that a graph of the house makes, or on anybody's conversations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict

from typing_extensions import Unpack

from graphs.cot_rec import recommend
from graphs.cot_rec import tuning as cot_rec
from graphs.workflow import Source
from rec_models.tuning import adapter as kept
from rec_models.tuning import tiny
from rec_models.tuning.base import Base, find_base, memory
from rec_models.tuning.rows import Rows, read_rows, write_rows
from rec_models.tuning.settings import PRESETS, TuneSettings
from rec_models.tuning.tune import Step as Step
from rec_models.tuning.tune import TuneRow, check_rows, identity_of
from rec_models.tuning.tune import tune as tuned
from whyrec.api.bars import bar
from whyrec.api.data import Data, as_data
from whyrec.api.running import options_of
from whyrec.api.shown import facts
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.weights.adapters import Adapter, adapters, adapters_folder, find_adapter
from whyrec.llm.weights.shelf import checked_name
from whyrec.precision import choose
from whyrec.settings import Settings, read_settings

TASKS = (cot_rec.NAME,)


@dataclass(frozen=True)
class Tuned:
    """A tuned model.

    Attributes:
        name: of its folder; `llm` is what it is asked by, "tuned:NAME".
        folder: where it is kept.
        manifest: base, rows, settings, dev curve, licence.
        new: whether this call made it; False for one that was there.
    """

    name: str
    folder: Path
    manifest: Mapping[str, Any]
    new: bool = False

    @property
    def llm(self) -> str:
        """What `whyrec.run(…, llm=…)` takes."""
        return f"tuned:{self.name}"

    @property
    def curve(self) -> list[Mapping[str, Any]]:
        """A row per epoch, the base as it came first: loss, and what the held-out rows said."""
        return list(self.manifest["report"]["rows"])

    def merge(self, folder: str | Path, *, settings: Settings | None = None) -> Path:
        """Write it as a plain folder of weights.

        Raises:
            UsageError: the folder is there already, or its base is gone or has changed.
        """
        settings = settings or read_settings()
        target = Path(folder).expanduser()
        kept.merge(Adapter(self.name, self.folder, dict(self.manifest)), target, quiet=settings.quiet)
        return target

    def _facts(self) -> dict[str, str]:
        base, rows, report = (self.manifest[part] for part in ("base", "rows", "report"))
        return {
            "base": f"{base['name']} ({base['about'] or 'of its publisher'}); licence: {base['licence']}",
            "rows": f"{rows['train']:,} to learn from, {rows['dev']:,} held out",
            "objective": str(self.manifest["settings"]["objective"]),
            "best epoch": str(report["best_epoch"]),
            "folder": str(self.folder),
        }

    def __repr__(self) -> str:
        return f"<{self.llm}: {', '.join(f'{name} {value}' for name, value in self._facts().items())}>"

    def _repr_html_(self) -> str:
        return facts(self.llm, self._facts())


@dataclass(frozen=True)
class Plan:
    """What is about to be tuned: told before anything is loaded.

    Attributes:
        name, base, about: of the model to come, of what it is tuned from, and what that is.
        train, dev: rows to learn from and held out.
        memory: bytes it will take, about.
        precision: of the products, and why.
        settings: how.
    """

    name: str
    base: str
    about: str
    train: int
    dev: int
    memory: float
    precision: str
    settings: TuneSettings


Told: TypeAlias = Plan | Step | TuneRow


class TuneOptions(TypedDict, total=False):
    """How a language model is tuned; all may be left out.

    `preset`: settings to begin with ("cot_rec.ranker", "pulse.scorer", "rallrec.expert", "scoter.student", "tiny"; by
    default that of the task, and "tiny" for the tiny base). `change`: settings of the preset to change, by name.
    `name`: what it is called. `seed` (0). `rows`: a file to write the rows to. Of the rows that a task makes: `mode`
    ("titles"), `retriever` ("item_cf"), `options` (others of the graph's), `users` (all). `dev`: share held out (0.1).
    `progress`: True for a bar where somebody looks, False for none, or a function that is told the plan, each step and
    each epoch. `settings`: folders.
    """

    preset: str
    change: Mapping[str, Any]
    name: str
    seed: int
    rows: str | Path
    mode: Literal["titles", "preference", "perception"]
    retriever: str
    options: Mapping[str, Any]
    users: int | None
    dev: float
    progress: bool | Callable[[Told], None]
    settings: Settings


def tune(what: str | Path | Rows, data: Data | Any = None, *, base: str, **how: Unpack[TuneOptions]) -> Tuned:
    """Tune a language model and keep it as `tuned:NAME`.

    The same call again finds it finished; one that was killed goes on at its last checkpoint. Test targets are out of
    reach.

    Args:
        what: "cot_rec.ranker", whose rows are made from `data`, or a file of rows or conversations (docs/tuning.md).
        data: a `Data`, or whatever `load_data` opens; for tasks only.
        base: what is tuned: "local:NAME", a folder, or "tiny", a model of random weights made on the spot.
        **how: see `TuneOptions`.

    Raises:
        UnknownNameError: no such task, preset, setting, base or argument.
        UsageError: rows that do not fit, a base that is not here, or a name that is taken.
        LeakageError: rows of the test split.
    """
    for name in how:
        if name not in TuneOptions.__annotations__:
            raise UnknownNameError("argument of whyrec.tune", name, TuneOptions.__annotations__)
    settings = how.get("settings") or read_settings()
    rows = tuning_rows(what, data, **how)
    doing, seed = _settings(rows, base, how, settings), how.get("seed", 0)
    begun = find_base(base, rows=rows, settings=settings)
    identity = identity_of(rows, begun, doing, seed)
    folder = adapters_folder(settings) / _name(what, rows, begun, identity, how.get("name", ""))
    here = adapters(settings).get(folder.name)
    if here is not None:
        if here.manifest.get("identity") != identity:
            raise UsageError(
                f"tuned:{folder.name} is there already, of other rows, base, settings or seed. Give a --name."
            )
        return Tuned(here.name, here.folder, here.manifest)
    kind = choose(doing.precision, doing.device)
    plan = Plan(
        folder.name,
        begun.name,
        begun.about,
        len(rows.train),
        len(rows.dev),
        memory(begun, doing, kind=kind.kind),
        str(kind),
        doing,
    )
    _tune(rows, begun, plan, seed=seed, folder=folder, identity=identity, told=how.get("progress", True))
    made = find_adapter(folder.name, settings=settings)
    return Tuned(made.name, made.folder, made.manifest, new=True)


def tuning_rows(what: str | Path | Rows, data: Data | Any = None, **how: Unpack[TuneOptions]) -> Rows:
    """The rows that `tune` would learn from; written to the file `rows`, where that is given.

    Raises:
        UnknownNameError, UsageError, LeakageError: as `tune`.
    """
    settings, dev = how.get("settings") or read_settings(), how.get("dev", 0.1)
    if isinstance(what, Rows):
        rows = what
    elif str(what) in TASKS:
        if data is None:
            raise UsageError(f"Rows of {what} are made from data: give --data, as in --data world.")
        told = {
            **how.get("options", {}),
            "mode": how.get("mode", "titles"),
            "retriever": how.get("retriever", "item_cf"),
        }
        corpus = as_data(data, settings).corpus
        source = Source(corpus, settings.home, how.get("users"), settings.precision)
        rows = cot_rec.ranker_rows(source, options_of(recommend.WORKFLOW, {"split": "valid", **told}, ""), dev=dev)
    elif (file := Path(what).expanduser()).is_file():
        rows = read_rows(file, dev=dev, seed=how.get("seed", 0))
    else:
        raise UnknownNameError("task or file of rows", str(what), TASKS)
    check_rows(rows)
    if "rows" in how:
        write_rows(rows, Path(how["rows"]).expanduser())
    return rows


def open_tuned(name: str, *, settings: Settings | None = None) -> Tuned:
    """A tuned model by its name or an unmistakable beginning of it.

    Raises:
        UnknownNameError: there is none.
    """
    found = find_adapter(name.removeprefix("tuned:"), settings=settings or read_settings())
    return Tuned(found.name, found.folder, found.manifest)


def list_tuned(*, settings: Settings | None = None) -> list[Tuned]:
    """Every tuned model that is finished, by name."""
    found = adapters(settings or read_settings()).values()
    return [Tuned(one.name, one.folder, one.manifest) for one in found]


def _settings(rows: Rows, base: str, how: TuneOptions, settings: Settings) -> TuneSettings:
    """Those of the preset that was named, or else of the base or the task, and what was changed of them."""
    task = str(rows.made.get("task", ""))
    usual = "tiny" if base.partition("?")[0] == tiny.NAME else task if task in PRESETS else "scoter.student"
    named = how.get("preset") or usual
    if named not in PRESETS:
        raise UnknownNameError("preset of a tuning", named, PRESETS)
    change = dict(how.get("change", {}))
    for name in change:
        if name not in TuneSettings.__dataclass_fields__:
            raise UnknownNameError("setting of a tuning", name, TuneSettings.__dataclass_fields__)
    if not any(row.labels for row in rows.train) and not how.get("preset"):  # free answers can only be completed
        change = {"objective": "completion", "stop_on": "loss", **change}
    return replace(PRESETS[named], **{"precision": settings.precision, **change})


def _name(what: str | Path | Rows, rows: Rows, base: Base, identity: str, given: str) -> str:
    if given:
        return checked_name(given)
    task = str(what) if isinstance(what, str) and what in TASKS else Path(str(rows.made.get("file", "rows"))).stem
    parts = (task, str(rows.made.get("data", "")), base.folder.name, identity[:8])
    named = "-".join(part.partition("?")[0] for part in parts if part).lower()
    plain = "".join(c if c.isascii() and (c.isalnum() or c in ".-_") else "_" for c in named)
    return checked_name(plain[-100:].lstrip("._-"))


def _tune(
    rows: Rows, base: Base, plan: Plan, *, seed: int, folder: Path, identity: str, told: bool | Callable[[Told], None]
) -> None:
    how = plan.settings
    with bar(told if isinstance(told, bool) else False) as show:
        tell = told if callable(told) else _line(show)
        tell(plan)
        checkpoints = folder / kept.CHECKPOINTS
        learner, report = tuned(rows, base, how, seed=seed, folder=checkpoints, on_step=tell)
    entries = {"identity": identity, "settings": kept.settings_told(how), "name": folder.name}
    kept.save(folder, learner, report, rows=rows, base=base, told=entries)


def _line(show: Any) -> Callable[[Told], None]:
    """What a bar says of a tuning."""

    def tell(now: Told) -> None:
        if show is not None and isinstance(now, Step):
            told = f"steps, epoch {now.epoch}, loss {now.loss:.3f}, {now.rate:.1f} rows/s, {now.eta_s:.0f} s left"
            show(told, now.step, now.steps)

    return tell
