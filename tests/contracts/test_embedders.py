"""What every embedder promises, run through every implementation."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from whyrec.embed import Embedder, embedder_identity, open_embedder, reopen_embedder
from whyrec.embed.hashed import Hashed
from whyrec.embed.openai import OpenAIEmbedder
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import read_settings

CATALOGUE = [
    "warm wool hiking socks",
    "thin cotton running socks",
    "steel water bottle for hiking",
    "red matte lipstick",
    "pink lipstick gloss",
    "winter wool hat",
]


@pytest.fixture
def embedding_server() -> Iterator[str]:
    """An OpenAI-like /embeddings endpoint that answers with word hashes, in reverse order of `index`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert all(isinstance(t, str) for t in body["input"]), "token ids instead of texts"
            vectors = Hashed(32).embed(body["input"])
            data = [{"object": "embedding", "index": i, "embedding": v.tolist()} for i, v in enumerate(vectors)]
            answer = {
                "object": "list",
                "model": body["model"],
                "data": data[::-1],
                "usage": {"prompt_tokens": 1, "total_tokens": 1},
            }
            text = json.dumps(answer).encode()
            self.send_response(200 if body["model"] == "good" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["lsa:4", "hashed:32", "openai"])
def embedder(request: pytest.FixtureRequest, embedding_server: str) -> Iterator[Embedder]:
    name = f"openai:good@{embedding_server}" if request.param == "openai" else request.param
    opened = open_embedder(name, fit_on=CATALOGUE)
    yield opened
    if isinstance(opened, OpenAIEmbedder):
        opened.close()


def test_shape_length_and_determinism(embedder: Embedder) -> None:
    vectors = embedder.embed(CATALOGUE)
    assert vectors.shape == (len(CATALOGUE), embedder.width)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(embedder.embed(CATALOGUE[::-1])[::-1], vectors, atol=1e-6)
    assert embedder.embed([]).shape == (0, embedder.width)
    assert isinstance(embedder, Embedder)


def test_similar_texts_are_nearer(embedder: Embedder) -> None:
    socks, more_socks, lipstick = embedder.embed(["wool hiking socks", "cotton running socks", "red lipstick"])
    assert socks @ more_socks > socks @ lipstick + 0.1


def test_a_text_is_embedded_alike_alone_and_among_others() -> None:
    lsa = open_embedder("lsa:4", fit_on=CATALOGUE)
    texts = [*CATALOGUE, "words that nobody knows", "wool lipstick wool"]
    together = lsa.embed(texts)
    assert all(np.array_equal(lsa.embed([text])[0], row) for text, row in zip(texts, together, strict=True))
    assert not together[-2].any() and together[-1].any()


def test_a_fitted_model_is_kept_and_named_after_its_catalogue(tmp_path: Path) -> None:
    first = open_embedder("lsa:4", fit_on=CATALOGUE, cache=tmp_path)
    second = open_embedder("lsa:4", fit_on=CATALOGUE, cache=tmp_path)
    other = open_embedder("lsa:4", fit_on=[*CATALOGUE, "green tea"], cache=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 2
    assert first.name == second.name != other.name
    np.testing.assert_allclose(first.embed(CATALOGUE), second.embed(CATALOGUE), atol=1e-6)


@pytest.fixture
def tiny_vectors(tmp_path: Path) -> Path:
    """A sentence-transformers folder of random weights, where `local:tiny` looks."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[UNK]", "[PAD]", *sorted({word for text in CATALOGUE for word in text.split()})]
    bare = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = read_settings().home / "models" / "tiny"
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    transformers.BertModel(transformers.BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bare, unk_token="[UNK]", pad_token="[PAD]")
    tokenizer.save_pretrained(folder)
    kinds = {"": "sentence_transformers.models.Transformer", "1_Pooling": "sentence_transformers.models.Pooling"}
    modules = [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(kinds.items())]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


def test_weights_are_named_after_what_is_in_them_and_found_again(tiny_vectors: Path, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    here = open_embedder("local:tiny", cache=tmp_path / "kept")
    vectors = here.embed(CATALOGUE)
    assert here.width == 16 and vectors.shape == (6, 16) and len({tuple(row) for row in vectors.tolist()}) == 6
    copy = Path(shutil.copytree(tiny_vectors, tmp_path / "elsewhere"))
    assert embedder_identity(f"hf:{copy}") == embedder_identity("local:tiny") == "-".join(here.name.split("-")[:2])
    again = open_embedder(f"hf:{copy}")
    assert again.name == here.name and here.name.startswith("hf-") and str(tmp_path) not in here.name
    np.testing.assert_allclose(reopen_embedder(here.name, cache=tmp_path / "kept").embed(CATALOGUE), vectors)
    (copy / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 16}))
    assert embedder_identity(f"hf:{copy}") != embedder_identity("local:tiny")
    assert embedder_identity("lsa:4") == "lsa:4" and embedder_identity("hashed") == "hashed"


@pytest.mark.parametrize("name", ["lsa:0", "lsa:x", "openai:", "openai:text-embedding-3-small", "hf:"])
def test_unusable_names_are_one_sentence(name: str) -> None:
    with pytest.raises(UsageError):
        open_embedder(name, fit_on=CATALOGUE)


def test_unknown_kind_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match="hashed, hf, local, lsa, openai"):
        open_embedder("lsi", fit_on=CATALOGUE)


def test_an_empty_catalogue_and_a_wrong_model_are_refused(embedding_server: str) -> None:
    with pytest.raises(UsageError, match="fewer than three"):
        open_embedder("lsa", fit_on=["", ""])
    with pytest.raises(UsageError, match="did not embed"):
        open_embedder(f"openai:bad@{embedding_server}")
    with pytest.raises(UsageError, match="neither a folder"):
        open_embedder("hf:/nowhere/at-all")
