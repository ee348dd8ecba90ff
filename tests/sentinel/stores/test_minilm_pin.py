"""The model's files are the pinned ones, or Sentinel refuses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.errors import PermanentError

minilm = pytest.importorskip("sentinel.stores.memory.embedders.minilm", exc_type=ModuleNotFoundError)


def test_another_model_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "model.onnx"
    other.write_bytes(b"another model")
    with pytest.raises(PermanentError, match=r"model\.onnx is not the file"):
        minilm.MiniLmEmbedder(model=other)


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "tokenizer.json"
    other.write_text("{}")
    with pytest.raises(PermanentError, match=r"tokenizer\.json is not the file"):
        minilm.MiniLmEmbedder(tokenizer=other)
