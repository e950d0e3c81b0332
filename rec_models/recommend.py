"""The best items for histories, and a trained recommender as files that another process reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from rec_models.base import Recommender
from rec_models.kinds import COUNTED, maker
from rec_models.sequential.bert4rec import BERT4Rec, BERT4RecSettings
from rec_models.sequential.losses import LossSettings
from rec_models.sequential.sasrec import SASRec, SASRecSettings
from rec_models.states import batch_of
from whyrec.data.split import SplitView
from whyrec.errors import UsageError

WEIGHTS, ABOUT = "model.safetensors", "model.json"


@dataclass(frozen=True, eq=False)
class Best:
    """The best items of each history: ids (from 1) and scores, [B, n], the best first."""

    items: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


def best(model: Recommender, histories: Sequence[npt.NDArray[np.int64]], n: int, *, skip_seen: bool = True) -> Best:
    """The n items with the highest scores.

    Args:
        model: what scores them, on whichever device it is.
        histories: item ids, oldest first; none empty.
        n: at most the catalogue.
        skip_seen: leave items of the history out.

    Raises:
        UsageError: n is less than 1 or more than there are items to recommend.
    """
    module = model if isinstance(model, nn.Module) else None
    device = torch.device("cpu") if module is None else next(module.parameters()).device
    if module is not None:
        module.eval()
    with torch.inference_mode():
        batch = batch_of([h[-model.max_length :] for h in histories]).to(device)
        scores = model.scores(model.encode(batch)).float()
        if skip_seen:
            for row, history in enumerate(histories):
                scores[row, torch.from_numpy(np.unique(history) - 1).to(device)] = -torch.inf
        fewest = int((scores > -torch.inf).sum(1).min())
        if not 1 <= n <= fewest:
            raise UsageError(f"{n} items were asked for, and there are 1 to {fewest:,} to recommend.")
        top = scores.topk(n, dim=1)
    return Best((top.indices + 1).cpu().numpy(), top.values.cpu().numpy())


def save(model: Recommender, folder: Path, about: dict[str, Any]) -> None:
    """Write a recommender's weights and what `load` has to know; `about` is kept beside them.

    A plug-in's is named in `about` as its "kind", and is made again when it is opened.

    Raises:
        UsageError: it is of a kind that cannot be kept.
    """
    kind = str(about.get("kind", type(model).__name__))
    if kind not in (*COUNTED, "SASRec", "BERT4Rec") and "kind" not in about:
        raise UsageError(f"A recommender of the kind {kind} cannot be kept.")
    folder.mkdir(parents=True, exist_ok=True)
    settings = None
    if isinstance(model, SASRec | BERT4Rec):
        settings = asdict(model.settings)
        draft = folder / f"{WEIGHTS}.part"
        save_file({name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}, draft)
        draft.replace(folder / WEIGHTS)
    draft = folder / f"{ABOUT}.part"
    draft.write_text(json.dumps({**about, "kind": kind, "settings": settings}, indent=1, ensure_ascii=False) + "\n")
    draft.replace(folder / ABOUT)


def about(folder: Path) -> dict[str, Any]:
    """What is kept beside a recommender.

    Raises:
        UsageError: the folder holds none, or its file is damaged.
    """
    try:
        found = json.loads((folder / ABOUT).read_text())
    except FileNotFoundError:
        raise UsageError(f"{folder} holds no recommender: {ABOUT} is missing.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder / ABOUT} cannot be read ({error}).") from None
    if not isinstance(found, dict) or "kind" not in found:
        raise UsageError(f"{folder / ABOUT} is not what `whyrec fit` writes.")
    return found


def load(folder: Path, view: SplitView) -> Recommender:
    """A recommender that was saved.

    Args:
        folder: where it lies.
        view: of the data it was made from; what is counted is counted in its training events.

    Raises:
        UsageError: the folder holds none, or its weights are not those of this data set.
        UnknownNameError: it is of a plug-in that is not there.
    """
    known = about(folder)
    if known["kind"] not in ("SASRec", "BERT4Rec"):
        return maker(known["kind"])(view, int(known.get("seed", 0)))
    told = dict(known["settings"])
    told["loss"] = LossSettings(**told["loss"])
    network = SASRecSettings(**told) if known["kind"] == "SASRec" else BERT4RecSettings(**told)
    model = (SASRec if known["kind"] == "SASRec" else BERT4Rec)(view.corpus.n_items, network)  # type: ignore[arg-type]
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{folder / WEIGHTS} cannot be used ({str(error).splitlines()[0]}).") from None
    model.eval()
    return model
