"""its_hub: `LLMJudge` over `OpenAICompatibleLanguageModel`, all conversations in one call. Keeps no records."""

from __future__ import annotations

import asyncio

from its_hub.api import ChatMessage
from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel
from its_hub.core.orchestrator import LMOrchestrator
from its_hub.core.reward_models.llm_judge import LLMJudge
from measure import options, report, text


def main() -> None:
    """Measure."""
    given = options()
    model = OpenAICompatibleLanguageModel(endpoint=given.url, api_key="k", model_name="stub")
    judge = LLMJudge(model, fallback_score=-1.0)
    orchestrator = LMOrchestrator(max_concurrency=given.concurrency)

    async def ask(first: int, count: int) -> int:
        conversations = [
            [ChatMessage(role="user", content=text(2 * i)), ChatMessage(role="assistant", content=text(2 * i + 1))]
            for i in range(first, first + count)
        ]
        scores = await judge.ascore(conversations, orchestrator=orchestrator)
        return sum(score == 7 for score in scores)

    with asyncio.Runner() as runner:
        report(lambda first, count: runner.run(ask(first, count)), given.requests)
        runner.run(model.close())


if __name__ == "__main__":
    main()
