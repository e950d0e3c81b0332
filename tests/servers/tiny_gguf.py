"""The model of tests/servers/tiny_qwen2.py as one GGUF file, written with ggml's own package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def write(model: Path, file: Path, *, quantised: bool = False, template: bool = True, licence: str = "mit") -> Path:
    """A GGUF file of a folder that `tiny_qwen2.build` made; its matrices as Q8_0 where `quantised`, else as F32."""
    import gguf
    import torch
    from safetensors.torch import load_file

    config = json.loads((model / "config.json").read_text())
    out = gguf.GGUFWriter(str(file), "qwen2")
    out.add_name("Tiny")
    if licence:
        out.add_license(licence)
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_head_count(config["num_attention_heads"])
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    _tokenizer(out, model, config, template)
    for name, tensor in sorted(load_file(model / "model.safetensors").items()):
        values = tensor.to(torch.float32).numpy()
        kind = gguf.GGMLQuantizationType.Q8_0
        if quantised and values.ndim == 2:
            out.add_tensor(_named(name), gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            out.add_tensor(_named(name), values)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return file


def _tokenizer(out: Any, model: Path, config: dict[str, Any], template: bool) -> None:
    told = json.loads((model / "tokenizer.json").read_text())
    by_id = sorted(told["model"]["vocab"].items(), key=lambda pair: pair[1])
    special = {one["content"] for one in told["added_tokens"]}
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2")
    out.add_token_list([text for text, _ in by_id])
    out.add_token_types([3 if text in special else 1 for text, _ in by_id])
    out.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in told["model"]["merges"]])
    out.add_eos_token_id(config["eos_token_id"])
    out.add_pad_token_id(config["pad_token_id"])
    if template:
        out.add_chat_template((model / "chat_template.jinja").read_text())


def _named(name: str) -> str:
    """As llama.cpp calls a tensor of Qwen2."""
    stem, _, part = name.rpartition(".")
    if stem in _TOP:
        return f"{_TOP[stem]}.{part}"
    _, _, number, rest = stem.split(".", 3)
    return f"blk.{number}.{_LAYER[rest]}.{part}"
