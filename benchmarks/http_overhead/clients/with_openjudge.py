"""OpenJudge: `GradingRunner` with its `RelevanceGrader`, all rows in one call. Keeps no records."""

from __future__ import annotations

import asyncio

from measure import options, report, text
from openjudge.graders.common.relevance import RelevanceGrader
from openjudge.models.openai_chat_model import OpenAIChatModel
from openjudge.runner.grading_runner import GradingRunner


def main() -> None:
    """Measure."""
    given = options()
    grader = RelevanceGrader(model=OpenAIChatModel(model="stub", base_url=given.url, api_key="k"))
    grading = GradingRunner({"relevance": grader}, max_concurrency=given.concurrency, show_progress=False)

    async def ask(first: int, count: int) -> int:
        rows = [{"query": text(2 * i), "response": text(2 * i + 1)} for i in range(first, first + count)]
        results = await grading.arun(rows)
        return sum(getattr(result, "score", None) == 4 for result in results["relevance"])

    with asyncio.Runner() as runner:
        report(lambda first, count: runner.run(ask(first, count)), given.requests)


if __name__ == "__main__":
    main()
