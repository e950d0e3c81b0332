"""The thought space: reasons and behaviours as points, a reason near the behaviour it explains (PULSE 4.1, eq. 1).

Two towers, E1 for rationales and E2 for behaviour texts, give unit vectors of one width; agreement is their cosine.
Both towers are of one of two kinds behind the same class. `ThoughtSpace.over(embedder)` puts a linear head on the
frozen vectors of any `Embedder`: trains in seconds on a CPU. `ThoughtSpace.from_transformer(name)` fine-tunes two
copies of a text encoder (the paper's DistilBERT): tokens, mean over the real ones, a linear map.

Unusual: both towers start from the same weights, and a head's start keeps angles, so an untrained space over an
embedder of no more than `width` dimensions scores exactly the plain cosine of its vectors. What training adds is then
what the numbers before and after differ by. How a space is trained is in rec_models/thought_space/fit.py.

Shape legend, beside rec_models/base.py: N texts, P width of the space, E width of an embedder or encoder.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from whyrec.embed import Embedder, Vectors
from whyrec.errors import UsageError
from whyrec.llm.weights.bars import bars

_FORMAT = 1
_AT_ONCE = 64  # texts an encoder reads at a time outside training


@dataclass(frozen=True, slots=True)
class SpaceSettings:
    """The shape of a space.

    Attributes:
        width: P.
        tokens: latest tokens of a text that a transformer reads; heads leave this to their embedder.
        temperature: tau at the start; it is learnt with the towers.
        seed: of the starting head.
    """

    width: int = 256
    tokens: int = 512
    temperature: float = 0.07
    seed: int = 0


class HeadTower(nn.Module):
    """A linear map over the frozen vectors of an embedder."""

    def __init__(self, embedder: Embedder, settings: SpaceSettings) -> None:
        super().__init__()
        self.embedder = embedder
        self.head = _head(settings.width, embedder.width, settings.seed)

    def prepare(self, texts: Sequence[str]) -> Tensor:
        """float32[N, E]: vectors of the texts, made once."""
        return torch.from_numpy(np.ascontiguousarray(self.embedder.embed(list(texts)), dtype=np.float32))

    def forward(self, prepared: Any, rows: Tensor) -> Tensor:
        """Unit points [len(rows), P]; a text the embedder knows nothing of is the zero point."""
        return functional.normalize(self.head(prepared[rows].to(self.head.weight.device)), dim=1)


class TransformerTower(nn.Module):
    """A text encoder that is trained itself: mean of the real tokens' states, then a linear map."""

    def __init__(self, encoder: nn.Module, tokenizer: Any, settings: SpaceSettings) -> None:
        super().__init__()
        self.encoder, self.tokenizer, self._tokens = encoder, tokenizer, settings.tokens
        width = int(encoder.config.hidden_size)  # type: ignore[union-attr,arg-type]
        self.head = _head(settings.width, width, settings.seed)

    def prepare(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""
        found: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=self._tokens)["input_ids"]
        return found

    def forward(self, prepared: Any, rows: Tensor) -> Tensor:
        """Unit points [len(rows), P]."""
        device = self.head.weight.device
        some = [prepared[int(row)] for row in rows]
        longest = max(1, max(map(len, some)))
        ids_BL = torch.zeros(len(some), longest, dtype=torch.int64)
        real_BL = torch.zeros(len(some), longest, dtype=torch.int64)
        for line, ids in enumerate(some):
            ids_BL[line, : len(ids)] = torch.tensor(ids, dtype=torch.int64)
            real_BL[line, : len(ids)] = 1
        ids_BL, real_BL = ids_BL.to(device), real_BL.to(device)
        states_BLE = self.encoder(input_ids=ids_BL, attention_mask=real_BL).last_hidden_state
        weight_BL1 = real_BL[:, :, None].to(states_BLE.dtype)
        mean_BE = (states_BLE * weight_BL1).sum(1) / weight_BL1.sum(1).clamp_min(1)
        return functional.normalize(self.head(mean_BE), dim=1)


class ThoughtSpace(nn.Module):
    """See the module; made by `over`, `from_transformer` or `load`.

    Attributes:
        rationale: E1.
        behaviour: E2.
        log_temperature: natural log of tau, a parameter.
    """

    def __init__(
        self, rationale: HeadTower | TransformerTower, behaviour: HeadTower | TransformerTower, settings: SpaceSettings
    ) -> None:
        super().__init__()
        self.rationale, self.behaviour, self.settings = rationale, behaviour, settings
        self.log_temperature = nn.Parameter(torch.tensor(math.log(settings.temperature)))

    @classmethod
    def over(cls, embedder: Embedder, settings: SpaceSettings = SpaceSettings()) -> ThoughtSpace:
        """An untrained space over the vectors of an embedder."""
        return cls(HeadTower(embedder, settings), HeadTower(embedder, settings), settings)

    @classmethod
    def from_transformer(cls, model: str, settings: SpaceSettings = SpaceSettings()) -> ThoughtSpace:
        """An untrained space of two copies of a text encoder.

        Args:
            model: a folder or a hub name, for example "distilbert-base-uncased".
            settings: the shape.

        Raises:
            UsageError: transformers is not installed, or there is no such model.
        """
        auto = _transformers()
        try:
            with bars(wanted=not Path(model).is_dir()):
                one, two = (auto.AutoModel.from_pretrained(model, dtype=torch.float32) for _ in range(2))
                tokenizer = auto.AutoTokenizer.from_pretrained(model)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"The text encoder {model!r} is neither a folder with a model and its tokenizer nor reachable on the "
                f"hub ({str(error).splitlines()[0]}). Give the path of a downloaded model."
            ) from None
        return cls(TransformerTower(one, tokenizer, settings), TransformerTower(two, tokenizer, settings), settings)

    @property
    def kind(self) -> str:
        """ "head" or "transformer"."""
        return "head" if isinstance(self.rationale, HeadTower) else "transformer"

    @property
    def temperature(self) -> Tensor:
        """tau, kept between 0.01 and 1."""
        return self.log_temperature.exp().clamp(0.01, 1.0)

    def rationales(self, texts: Sequence[str]) -> Vectors:
        """float32[N, P]: points of reasons, unit or zero."""
        return _points(self.rationale, texts, self.settings.width)

    def behaviours(self, texts: Sequence[str]) -> Vectors:
        """float32[N, P]: points of behaviour texts, unit or zero."""
        return _points(self.behaviour, texts, self.settings.width)

    def scores(self, rationales: Sequence[str], behaviour: str) -> Vectors:
        """float32[N]: how well each reason agrees with one behaviour text, cosine in [-1, 1] (PULSE 4.2)."""
        found: Vectors = self.rationales(rationales) @ self.behaviours([behaviour])[0]
        return found

    def save(self, folder: Path, *, note: dict[str, Any] | None = None) -> None:
        """Write the space; `space.json` comes last and says that it is complete.

        Args:
            folder: made if absent.
            note: JSON-able, given back by `read_note`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(self.rationale, TransformerTower):
            self.rationale.encoder.config.save_pretrained(folder)  # type: ignore[union-attr,operator]
            self.rationale.tokenizer.save_pretrained(folder)
            over = ""
        else:
            over = self.rationale.embedder.name
        tensors = {name: t.detach().cpu().contiguous().clone() for name, t in self.state_dict().items()}
        save_file(tensors, folder / "space.safetensors.part")
        (folder / "space.safetensors.part").replace(folder / "space.safetensors")
        about = {"format": _FORMAT, "kind": self.kind, "embedder": over, "settings": asdict(self.settings)}
        part = folder / f"space.json.{os.getpid()}.part"
        part.write_text(json.dumps({**about, "note": note or {}}, indent=1) + "\n")
        part.replace(folder / "space.json")

    @classmethod
    def load(cls, folder: Path, *, embedder: Embedder | None = None) -> ThoughtSpace:
        """Read a space.

        Args:
            folder: where `save` wrote it.
            embedder: the one its heads were trained over; not used by a transformer.

        Raises:
            UsageError: no space is there, or it was trained over another embedder.
        """
        about = _about(folder)
        settings = SpaceSettings(**about["settings"])
        if about["kind"] == "head":
            if embedder is None or embedder.name != about["embedder"]:
                given = "no embedder" if embedder is None else repr(embedder.name)
                raise UsageError(
                    f"The thought space in {folder} was trained over {about['embedder']!r}, but is opened with "
                    f"{given}. An lsa embedder must be fitted on the catalogue it was fitted on then."
                )
            space = cls.over(embedder, settings)
        else:
            auto = _transformers()
            config = auto.AutoConfig.from_pretrained(folder)
            tokenizer = auto.AutoTokenizer.from_pretrained(folder)
            one, two = (TransformerTower(auto.AutoModel.from_config(config), tokenizer, settings) for _ in range(2))
            space = cls(one, two, settings)
        space.load_state_dict(load_file(folder / "space.safetensors"))
        return space.eval()


def read_note(folder: Path) -> dict[str, Any]:
    """What was given to `save` as a note.

    Raises:
        UsageError: no space is there.
    """
    return dict(_about(folder)["note"])


def _about(folder: Path) -> dict[str, Any]:
    path = folder / "space.json"
    if not path.exists():
        raise UsageError(f"There is no thought space in {folder}: name a folder written by ThoughtSpace.save.")
    about: dict[str, Any] = json.loads(path.read_text())
    if about["format"] != _FORMAT:
        raise UsageError(f"The thought space in {folder} has format {about['format']}, not {_FORMAT}: train it again.")
    return about


def _points(tower: HeadTower | TransformerTower, texts: Sequence[str], width: int) -> Vectors:
    if not texts:
        return np.zeros((0, width), dtype=np.float32)
    was = tower.training
    tower.eval()
    try:
        with torch.inference_mode():
            prepared = tower.prepare(texts)
            found = [
                tower(prepared, torch.arange(at, min(at + _AT_ONCE, len(texts)))).float().cpu().numpy()
                for at in range(0, len(texts), _AT_ONCE)
            ]
    finally:
        tower.train(was)
    return np.concatenate(found).astype(np.float32)


def _head(width: int, of: int, seed: int) -> nn.Linear:
    """A linear map that starts orthonormal: its columns, so that angles are kept, or its rows where it narrows."""
    draw = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(max(width, of), min(width, of), generator=draw))[0]
    head = nn.utils.skip_init(nn.Linear, of, width, bias=False)  # type: ignore[no-untyped-call]
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.copy_(basis if width >= of else basis.T)
    return head


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise UsageError(
            "A fine-tuned text encoder needs transformers; install it with pip install 'whyrec[hf]'."
        ) from None
    return transformers
