"""Perplexity's agent: it searches by itself and writes an answer, which streams.

Events and kinds of output that are not known here are passed over: the set is open.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final, Literal, NamedTuple

from lycosa.analysis.texts import clean, visible
from lycosa.procedures import LookupClaim
from lycosa.providers.accounts import Account
from lycosa.providers.findings import (
    LONGEST_ANSWER,
    MOST_RESULTS,
    Finding,
    Findings,
    ProviderFailure,
    SearchOptions,
    cleaned,
    distinct,
)
from lycosa.providers.json_http import Ask, JsonHttp, Tally
from lycosa.providers.lenient import mapping, mappings, number, whole
from lycosa.providers.perplexity import AGENT_RATE, MONTH, NAME, Trust, accounts
from lycosa.providers.refusals import Refusal, without_keys
from lycosa.settings import Settings

__all__ = ["AgentEvent", "AnswerPiece", "AnswerSources", "PerplexityAgent", "providers"]

Preset = Literal["fast", "low", "medium", "high", "xhigh", "wide-research"]

# What an answer may cost, in millionths of a dollar, held until the true cost is told. Estimates: what a search costs
# is known, how many tokens a model takes is not.
_HELD: Final[Mapping[Preset, int]] = {
    "fast": 10_000,
    "low": 30_000,
    "medium": 100_000,
    "high": 500_000,
    "xhigh": 1_500_000,
    "wide-research": 2_000_000,
}
# How long a stream may be silent: it thinks and searches between its events.
_PATIENCE_SECONDS: Final = 30.0
_LONGEST_INPUT: Final = 8_000


class AnswerPiece(NamedTuple):
    """The next piece of the answer's text, cleaned."""

    text: str


class AnswerSources(NamedTuple):
    """What a search of the agent's found."""

    results: list[Finding]


AgentEvent = AnswerPiece | AnswerSources | Findings


class _Answer:
    """What the events of one answer have told so far."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.length = 0
        self.found: list[Finding] = []
        self.response: Mapping[str, Any] = {}
        self.is_complete = False

    def take(self, event: Mapping[str, Any]) -> AnswerPiece | AnswerSources | None:
        """Note an event; gives what is worth passing on."""
        kind = event.get("type")
        if kind == "response.output_text.delta":
            return self._text(event.get("delta"))
        if kind == "response.reasoning.search_results":
            return self._results(event)
        if kind == "response.output_item.done":
            item = mapping(event.get("item"))
            return self._results(item) if item.get("type") == "search_results" else None
        if kind in ("response.completed", "response.incomplete"):
            self.response, self.is_complete = mapping(event.get("response")), True
            return self._rest()
        return None

    def _text(self, delta: Any) -> AnswerPiece | None:
        if not isinstance(delta, str) or self.length >= LONGEST_ANSWER:
            return None
        piece = visible(delta)[: LONGEST_ANSWER - self.length]
        self.texts.append(piece)
        self.length += len(piece)
        return AnswerPiece(piece) if piece else None

    def _results(self, holder: Mapping[str, Any]) -> AnswerSources | None:
        before = len(self.found)
        rows = (
            cleaned(row.get("url"), row.get("title"), row.get("snippet"), None, row.get("date"))
            for row in mappings(holder.get("results"))
        )
        self.found = distinct([*self.found, *rows], MOST_RESULTS)
        return AnswerSources(self.found[before:]) if len(self.found) > before else None

    def _rest(self) -> AnswerPiece | AnswerSources | None:
        """What only the whole answer at the end tells."""
        sources = None
        for item in mappings(self.response.get("output")):
            if item.get("type") == "search_results":
                sources = self._results(item) or sources
            elif item.get("type") == "message" and not self.texts:
                for content in mappings(item.get("content")):
                    self._text(content.get("text"))
        return sources


class PerplexityAgent:
    """One key of Perplexity, for answers. `preset` is what `depth = advanced` asks for; `basic` asks for `fast`."""

    def __init__(self, http: JsonHttp, account: Account, preset: Preset, trust: Trust) -> None:
        self._http = http
        self._account = account
        self._preset: Preset = preset
        self._trust = trust

    @property
    def name(self) -> str:
        """Of this key's agent among the providers."""
        return self._account.name.replace(NAME, f"{NAME}-agent", 1)

    def claims(self, options: SearchOptions) -> list[LookupClaim]:
        """One request of the agent's rate, and what such an answer may cost."""
        return self._account.claims(AGENT_RATE, self.cost(options))

    def cost(self, options: SearchOptions) -> int:
        """What such an answer may cost, in millionths of a dollar."""
        return _HELD[self._chosen(options)]

    async def search(self, question: str, options: SearchOptions, deadline: float) -> Findings:
        """The whole answer with the sources that it found, within `deadline` seconds. Raises ProviderFailure."""
        async with aclosing(self.stream(question, options, deadline)) as events:
            async for event in events:
                if isinstance(event, Findings):
                    return event
        raise AssertionError("unreachable")

    async def stream(
        self, question: str, options: SearchOptions, deadline: float
    ) -> AsyncGenerator[AgentEvent, None]:
        """Pieces of the answer and sources as they come, then the findings of it all, once and last.

        Raises ProviderFailure, also after pieces. Closing the generator stops the call, which was charged then.
        """
        tally, answer, held = Tally(), _Answer(), self.cost(options)
        with self._account.billed(self.name, AGENT_RATE, tally, held):
            async with aclosing(self._http.events(self._ask(question, options), deadline, tally)) as events:
                async for raw in events:
                    event = mapping(raw)
                    self._trust.accepted = True
                    if event.get("type") in ("response.failed", "error"):
                        tally.uncertain += 1
                        raise self._failed(event)
                    told = answer.take(event)
                    if told is not None:
                        yield told
            if not answer.is_complete:
                tally.uncertain += 1
                raise self._failure("ended before its answer was complete")
        yield self._findings(answer, tally, held)

    async def close(self) -> None:
        """Close the connections of all keys."""
        await self._http.close()

    def _chosen(self, options: SearchOptions) -> Preset:
        return self._preset if options.depth == "advanced" else "fast"

    def _ask(self, question: str, options: SearchOptions) -> Ask:
        body = {
            "input": clean(question, _LONGEST_INPUT),
            "preset": self._chosen(options),
            "stream": True,
            "store": False,
        }
        return Ask("POST", "/v1/agent", self._account.secret, body, _PATIENCE_SECONDS, self._trust.judge)

    def _failed(self, event: Mapping[str, Any]) -> ProviderFailure:
        """The failure that an event tells, in the middle of a stream that began well."""
        said = mapping(event.get("response")).get("error") or event.get("error")
        words = without_keys(Refusal(200, {"error": said}).words, self._account.secret)
        return self._failure(f"failed{f': {words}' if words else ''}")

    def _failure(self, words: str) -> ProviderFailure:
        return ProviderFailure(
            f"{NAME}'s agent {words}", provider=self.name, cause="transient", charged=True, status=200
        )

    def _findings(self, answer: _Answer, tally: Tally, held: int) -> Findings:
        usage = mapping(answer.response.get("usage"))
        dollars = number(mapping(usage.get("cost")).get("total_cost"))
        # Rounded first: a price such as 0.0074 is no whole number of millionths in binary.
        spent = whole(round(dollars * 1e6, 3)) if dollars is not None else None
        amounts = self._account.amounts(AGENT_RATE, tally, held if spent is None else spent, held)
        return Findings(
            provider=self.name,
            results=answer.found,
            answer=clean("".join(answer.texts), LONGEST_ANSWER) or None,
            cost_microusd=amounts[self._account.quota(MONTH)],
            amounts=amounts,
            tokens_in=whole(usage.get("input_tokens")) or 0,
            tokens_out=whole(usage.get("output_tokens")) or 0,
        )


def providers(settings: Settings) -> list[PerplexityAgent]:
    """One for every key of PERPLEXITY_API_KEY. Raises Invalid for what is no key."""
    found = accounts(settings)
    http = JsonHttp(f"{NAME}-agent", settings.perplexity_base_url) if found else None
    return [
        PerplexityAgent(http, account, settings.perplexity_preset, Trust())
        for account in found
        if http is not None
    ]
