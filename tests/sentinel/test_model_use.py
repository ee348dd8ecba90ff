"""What models cost an incident, added up from its timeline."""

from dataclasses import replace

from sentinel.model_use import ModelUse, models_used
from tests.contracts.sql.samples import timeline_row


def tried(provider="groq", error="", tokens=(700, 90), dollars=0.001, seconds=0.4):
    return {
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": f"{provider}-model",
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
        "error.type": error,
        "seconds": seconds,
        "dollars": dollars,
    }


def asked(*tries, **changes):
    details = {"tries": list(tries), "step": "plan"}
    return timeline_row(kind="model_asked", details=details, **changes)


def test_each_run_model_and_step_has_one_sum():
    rows = [
        timeline_row(),
        asked(tried(error="timeout", tokens=(1000, 1024), dollars=0.002, seconds=2.0), tried("openai")),
        asked(tried()),
        asked(tried(), run_id="run-2"),
    ]
    groq = ModelUse(run_id="run-1", provider="groq", model="groq-model", step="plan")
    assert models_used(rows) == (
        replace(groq, asked=2, failed=1, input_tokens=1700, output_tokens=1114, dollars=0.003, seconds=2.4),
        ModelUse(
            run_id="run-1", provider="openai", model="openai-model", step="plan", asked=1, input_tokens=700,
            output_tokens=90, dollars=0.001, seconds=0.4,
        ),
        replace(groq, run_id="run-2", asked=1, input_tokens=700, output_tokens=90, dollars=0.001, seconds=0.4),
    )  # fmt: skip
    assert models_used([timeline_row()]) == ()
