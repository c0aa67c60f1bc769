"""Perplexity on loopback: search and agent as its contract says. `python -m tests.standins.perplexity --port 8102`."""

from collections.abc import Sequence
from typing import Any

from tests.standins.loopback import Answer, Loopback, Request, run

_RETIRED = "Sonar is now the Agent API. Use /v1/responses instead of /v1/sonar."
_PRESETS = {"fast", "low", "medium", "high", "xhigh", "wide-research"}


class Perplexity(Loopback):
    """Charges millionths of a dollar. `budget` of each key bounds them; when it is spent the status is 401, as theirs.

    `keys` are those accepted; None: any that begins with pplx-. `pieces` is what the agent writes, one every `pause`
    seconds.
    """

    keys: frozenset[str] | None = None
    budget: int | None = None
    search_price = 5_000
    agent_price = 7_400
    pieces: tuple[str, ...] = ("The company ", "is well known", " [1].")
    pause = 0.0
    results: list[dict[str, Any]] | None = None
    # What the agent streams instead; texts are sent as they are.
    events: Sequence[dict[str, Any] | str] | None = None

    def answer(self, request: Request) -> Answer:
        """By path."""
        known = request.key.startswith("pplx-") if self.keys is None else request.key in self.keys
        if not known:
            return _refusal(401, "Invalid API key provided.", "invalid_api_key")
        if request.path in ("/chat/completions", "/async/chat/completions"):
            return _refusal(403, _RETIRED, "chat_completions_not_available")
        if request.method != "POST" or request.path not in ("/search", "/v1/agent", "/v1/responses"):
            return _refusal(404, "Not found.", "not_found")
        answer = self._search(request) if request.path == "/search" else self._agent(request)
        spent = self.accounts[request.key].charged
        if self.budget is not None and spent + answer.price > self.budget:
            return _refusal(401, "Invalid API key provided.", "invalid_api_key")
        return answer

    def error(self, status: int) -> Any:
        """Perplexity's envelope."""
        return {"error": {"message": f"scripted {status}", "type": "scripted", "code": status}}

    def _search(self, request: Request) -> Answer:
        asked = request.body
        query, most = asked.get("query"), asked.get("max_results", 10)
        if not query or not isinstance(query, str | list):
            return _refusal(400, "query is missing", "invalid_request")
        domains = asked.get("search_domain_filter", [])
        if not isinstance(most, int) or not 1 <= most <= 20:
            return _refusal(422, "max_results must be 1 to 20", "invalid_request")
        if len({domain.startswith("-") for domain in domains}) > 1 or len(domains) > 20:
            return _refusal(400, "search_domain_filter mixes allowed and denied", "invalid_request")
        payload = {
            "id": f"s-{len(self.requests)}",
            "results": self._found(str(query), most),
            "server_time": None,
        }
        return Answer(payload=payload, price=self.search_price)

    def _found(self, query: str, most: int) -> list[dict[str, Any]]:
        if self.results is not None:
            return self.results[:most]
        return [
            {
                "url": f"https://example.com/{number}?q={len(query)}",
                "title": f"{query}: result {number}",
                "snippet": f"Result {number} about {query}.",
                "date": "2026-10-01",
                "last_updated": "2026-11-01",
            }
            for number in range(1, most + 1)
        ]

    def _agent(self, request: Request) -> Answer:
        asked = request.body
        named = [name for name in ("model", "models", "preset") if asked.get(name)]
        if not asked.get("input") or len(named) != 1 or asked.get("preset", "fast") not in _PRESETS:
            return _refusal(400, "give input and one of model, models, preset", "invalid_request")
        whole = self.response(asked)
        if not asked.get("stream"):
            return Answer(payload=whole, price=self.agent_price)
        events = self.events if self.events is not None else self._events(asked, whole)
        return Answer(events=events, pause=self.pause, price=self.agent_price)

    def _events(self, asked: dict[str, Any], whole: dict[str, Any]) -> list[dict[str, Any]]:
        begun = {**whole, "status": "in_progress", "output": [], "usage": None}
        found = self._found(str(asked["input"]), 3)
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
            {"type": "response.skill.loaded", "skill": "web"},
            {"type": "response.reasoning.started"},
            {"type": "response.reasoning.search_queries", "queries": [asked["input"]]},
            {"type": "response.reasoning.search_results", "results": found[:2]},
            {"type": "response.something_of_next_year", "depth": {"of": ["its", "own"]}},
            {"type": "response.reasoning.stopped"},
            {"type": "response.output_item.added", "item": {"type": "message"}, "output_index": 1},
            {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}},
        ]
        events += [{"type": "response.output_text.delta", "delta": piece} for piece in self.pieces]
        events += [
            {"type": "response.output_text.done", "text": "".join(self.pieces)},
            {"type": "response.output_item.done", "item": {"type": "search_results", "results": found}},
            {"type": "response.completed", "response": whole},
        ]
        return [{**event, "sequence_number": number} for number, event in enumerate(events)]

    def response(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The whole answer of the agent, as it comes at the end."""
        text = {"type": "output_text", "text": "".join(self.pieces), "annotations": []}
        dollars = self.agent_price / 1e6
        return {
            "id": f"resp_{len(self.requests)}",
            "object": "response",
            "status": "completed",
            "model": "perplexity/of-a-preset",
            "output": [
                {
                    "type": "search_results",
                    "queries": [asked["input"]],
                    "results": self._found(str(asked["input"]), 3),
                },
                {"type": "something_of_next_year", "content": None},
                {"type": "message", "role": "assistant", "content": [text]},
            ],
            "usage": {
                "input_tokens": 1_200,
                "output_tokens": 80,
                "total_tokens": 1_280,
                "cost": {"currency": "USD", "tool_calls_cost": 0.005, "total_cost": dollars},
            },
            "error": None,
        }


def _refusal(status: int, words: str, kind: str) -> Answer:
    return Answer(status, {"error": {"message": words, "type": kind, "code": status}})


if __name__ == "__main__":
    run(Perplexity)
