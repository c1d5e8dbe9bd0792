"""Status calls by providers' own SDKs; run by test_sdks.py in an environment that has them.

On standard input JSON: {"url": where Ringback is, "final": "" or "/final", "key": its key,
"ids": provider → a job's id}.
On standard output JSON: call → the status that the SDK read, or what it raised.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import anthropic
import assemblyai
import openai
import replicate
import runwayml

request = json.load(sys.stdin)
key, ids = request["key"], request["ids"]


def base(name: str) -> str:
    return f"{request['url']}/mirror/{name}{request['final']}"


def transcript() -> Any:
    assemblyai.settings.base_url, assemblyai.settings.api_key = base("assemblyai"), key
    return assemblyai.Transcript.get_by_id(ids["assemblyai"]).status.value


OPENAI = openai.OpenAI(api_key=key, base_url=base("openai") + "/v1", max_retries=0)
ANTHROPIC = anthropic.Anthropic(api_key=key, base_url=base("anthropic"), max_retries=0)
REPLICATE = replicate.Client(api_token=key, base_url=base("replicate"))
RUNWAY = runwayml.RunwayML(api_key=key, base_url=base("runway"), max_retries=0)
CALLS: dict[str, Callable[[], Any]] = {
    "openai": lambda: OPENAI.batches.retrieve(ids["openai"]).status,
    "anthropic": lambda: ANTHROPIC.messages.batches.retrieve(ids["anthropic"]).processing_status,
    "replicate": lambda: REPLICATE.predictions.get(ids["replicate"]).status,
    "runway": lambda: RUNWAY.tasks.retrieve(ids["runway"]).status,
    "assemblyai": transcript,
}


def outcome(call: Callable[[], Any]) -> str:
    try:
        return str(call())
    except Exception as error:  # noqa: BLE001 -- of whatever SDK
        return f"{type(error).__name__}: {error}"


json.dump({name: outcome(call) for name, call in CALLS.items()}, sys.stdout)
