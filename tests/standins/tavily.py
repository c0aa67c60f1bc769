"""Tavily on loopback: search, extract and usage as its contract says. `python -m tests.standins.tavily --port 8101`."""

import math
from typing import Any

from tests.standins.loopback import Answer, Loopback, Request, run

_DEPTHS = {"basic": 1, "advanced": 2, "fast": 1, "ultra-fast": 1}
_UNAUTHORIZED = "Unauthorized: missing or invalid API key."
_TOO_FAST = "Your request has been blocked due to excessive requests. Please reduce rate of requests."


class Tavily(Loopback):
    """Charges credits. `credits` of each key bound its month, `rate` its searches in any 60 seconds; None: no bound.

    `keys` are those accepted; None: any that begins with tvly-. `results` are what every search finds; None: pages
    about the question.
    """

    keys: frozenset[str] | None = None
    credits: int | None = None
    rate: int | None = None
    results: list[dict[str, Any]] | None = None
    # Credits that somebody else spent with the same key.
    spent_elsewhere = 0

    def answer(self, request: Request) -> Answer:
        """By path."""
        known = request.key.startswith("tvly-") if self.keys is None else request.key in self.keys
        if not known:
            return _refusal(401, _UNAUTHORIZED)
        if request.path == "/usage" and request.method == "GET":
            return self._usage(request)
        if request.method != "POST" or request.path not in ("/search", "/extract"):
            return _refusal(404, "Not Found")
        if self.rate is not None and self._recent(request, 60.0) > self.rate:
            return Answer(429, {"detail": {"error": _TOO_FAST}}, headers={"retry-after": "60"})
        answer = self._search(request) if request.path == "/search" else self._extract(request)
        spent = self.accounts[request.key].charged
        if self.credits is not None and spent + answer.price > self.credits:
            return _refusal(432, "This request exceeds your plan's set usage limit.")
        return answer

    def error(self, status: int) -> Any:
        """Tavily's envelope."""
        return {"detail": {"error": f"scripted {status}"}}

    def _recent(self, request: Request, seconds: float) -> int:
        return sum(
            one.at > request.at - seconds and one.key == request.key and one.path == request.path
            for one in self.requests
        )

    def _search(self, request: Request) -> Answer:
        asked = request.body
        query, depth, most = (
            asked.get("query"),
            asked.get("search_depth", "basic"),
            asked.get("max_results", 5),
        )
        if not isinstance(query, str) or not query:
            return _refusal(422, "query is missing")
        if len(query) > 400:
            return _refusal(400, "Query is too long. Max query length is 400 characters.")
        if depth not in _DEPTHS or not isinstance(most, int) or not 0 <= most <= 20:
            return _refusal(400, "Invalid search depth or max_results.")
        if asked.get("topic", "general") not in ("general", "news", "finance"):
            return _refusal(400, "Invalid topic.")
        found = self.results if self.results is not None else _pages(query, most)
        return self._with_usage(
            asked,
            {
                "query": query,
                "answer": None,
                "images": [],
                "results": found[:most],
                "auto_parameters": None,
                "response_time": 0.4,
                "request_id": f"r-{len(self.requests)}",
                "follow_up_questions": None,
            },
            _DEPTHS[depth],
        )

    def _extract(self, request: Request) -> Answer:
        urls = request.body.get("urls")
        urls = [urls] if isinstance(urls, str) else urls
        if not isinstance(urls, list) or not 1 <= len(urls) <= 20:
            return _refusal(400, "urls must hold 1 to 20 addresses")
        good = [url for url in urls if ".invalid/" not in url]
        price = math.ceil(len(good) / 5) * (2 if request.body.get("extract_depth") == "advanced" else 1)
        return self._with_usage(
            request.body,
            {
                "results": [
                    {"url": url, "raw_content": f"All of {url}", "images": [], "favicon": None}
                    for url in good
                ],
                "failed_results": [
                    {"url": url, "error": "cannot be read"} for url in urls if url not in good
                ],
                "response_time": 0.4,
                "request_id": f"r-{len(self.requests)}",
            },
            price,
        )

    def _with_usage(self, asked: dict[str, Any], payload: dict[str, Any], price: int) -> Answer:
        if asked.get("include_usage"):
            payload["usage"] = {"credits": price}
        return Answer(payload=payload, price=price)

    def _usage(self, request: Request) -> Answer:
        if self._recent(request, 600.0) > 10:
            return Answer(429, {"detail": {"error": _TOO_FAST}}, headers={"retry-after": "60"})
        used = self.accounts[request.key].charged + self.spent_elsewhere
        key = {"usage": used, "limit": self.credits, "search_usage": used, "extract_usage": 0}
        key |= {"crawl_usage": 0, "map_usage": 0, "research_usage": 0}
        account = {"current_plan": "Researcher", "plan_usage": used, "plan_limit": self.credits or 1000}
        account |= {"paygo_usage": 0, "paygo_limit": None}
        return Answer(payload={"key": key, "account": account})


def _pages(query: str, count: int) -> list[dict[str, Any]]:
    return [
        {
            "url": f"https://example.org/{number}?q={len(query)}",
            "title": f"{query}: page {number}",
            "content": f"Page {number} says of {query} that it is well known.",
            "score": round(1 - number / 100, 2),
            "raw_content": None,
            "favicon": None,
        }
        for number in range(1, count + 1)
    ]


def _refusal(status: int, words: str) -> Answer:
    return Answer(status, {"detail": {"error": words}})


if __name__ == "__main__":
    run(Tavily)
