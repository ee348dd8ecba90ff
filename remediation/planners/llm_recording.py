"""Answers written to a file and played back: the same question gets the same answer, without a provider."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import msgspec

from remediation.planners.llm_answers import PlanAnswer
from remediation.planners.llm_calls import Model, Problem, Prompt, Reply, Usage
from sentinel.canonical import digest
from sentinel.errors import ConfigError


class RecordingModel:
    """Asks another model, and appends question and reply to a file of JSON lines."""

    def __init__(self, inner: Model, path: Path) -> None:
        self.provider = inner.provider
        self.model = inner.model
        self._inner = inner
        self._path = path
        self._lock = threading.Lock()

    def ask(self, prompt: Prompt, seconds: float) -> Reply:
        """See `Model.ask`."""
        reply = self._inner.ask(prompt, seconds)
        row = {
            "question": question_id(prompt),
            "provider": self.provider,
            "model": self.model,
            "prompt_version": prompt.version,
            "data": prompt.data,
            "answer": reply.answer.model_dump(mode="json") if reply.answer else None,
            "problem": reply.problem,
            "detail": reply.detail,
            "usage": msgspec.to_builtins(reply.usage),
        }
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        return reply


class ReplayedModel:
    """Answers from a recording; what was not recorded is `unreachable`."""

    def __init__(self, provider: str, model: str, path: Path) -> None:
        self.provider = provider
        self.model = model
        self._replies = _read(path, provider)

    def ask(self, prompt: Prompt, seconds: float) -> Reply:
        """See `Model.ask`."""
        absent = Reply(problem=Problem.UNREACHABLE, detail="the recording does not hold this question")
        return self._replies.get(question_id(prompt), absent)


def question_id(prompt: Prompt) -> str:
    """The same for the same prompt file and the same data, also when the catalogue has got new actions since."""
    return digest([prompt.version.partition("@")[0], prompt.data])[:16]


def _read(path: Path, provider: str) -> dict[str, Reply]:
    if not path.is_file():
        raise ConfigError(f"remediation.llm.replay_file: there is no file {path}")
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            if row["provider"] == provider:
                found[row["question"]] = Reply(
                    answer=PlanAnswer.model_validate(row["answer"]) if row["answer"] else None,
                    problem=Problem(row["problem"]) if row["problem"] else None,
                    detail=row["detail"],
                    usage=msgspec.convert(row["usage"], Usage | None),
                )
        except (ValueError, KeyError) as error:
            raise ConfigError(f"{path}:{number}: this is not a recorded answer: {error}") from error
    return found
