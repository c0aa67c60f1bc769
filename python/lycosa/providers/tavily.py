"""Tavily: searches, pages read out, and what its own account says.

400, 422     the question is wrong
401, 403     the key is refused; 403 for an address that it does not read is a wrong question
429          too fast
432, 433     the plan's or the paid credits are spent until the month ends
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple

from lycosa.analysis.texts import one_line
from lycosa.procedures import LookupClaim
from lycosa.providers.accounts import Account, Limit, accounts_of, microusd, month_ends_in, monthly, rate
from lycosa.providers.findings import Cause, Findings, ProviderFailure, SearchOptions, cleaned, distinct
from lycosa.providers.json_http import Ask, JsonHttp, Tally
from lycosa.providers.lenient import mapping, mappings, whole
from lycosa.providers.refusals import Refusal, cause_of
from lycosa.settings import Settings

__all__ = ["Tavily", "TavilyUsage", "limits", "providers"]

_NAME: Final = "tavily"
_LONGEST_QUERY: Final = 400
_MOST_PAGES: Final = 20
_PAGES_A_CREDIT: Final = 5
_RATE, _MONTH, _USAGE = "rate", "month", "usage"
_WINDOW_SECONDS: Final = 60.0
_SPENT: Final = frozenset({432, 433})


class TavilyUsage(NamedTuple):
    """What Tavily's account says: credits used and allowed, of this key and of the whole plan; None: no limit told."""

    key_used: int
    key_limit: int | None
    plan_used: int | None
    plan_limit: int | None


class Tavily:
    """One key of Tavily."""

    patience: ClassVar[Mapping[str, float]] = {"basic": 5.0, "advanced": 10.0}

    def __init__(self, http: JsonHttp, account: Account, credit_microusd: int) -> None:
        self._http = http
        self._account = account
        self._credit_microusd = credit_microusd

    @property
    def name(self) -> str:
        """Of this key among the providers."""
        return self._account.name

    @property
    def month_quota(self) -> str:
        """The quota that counts its credits."""
        return self._account.quota(_MONTH)

    @property
    def usage_quota(self) -> str:
        """The rate at which `usage` may be asked, by all processes together."""
        return self._account.quota(_USAGE)

    def claims(self, options: SearchOptions) -> list[LookupClaim]:
        """One request, and one credit, or two for depth."""
        return self._account.claims(_RATE, _credits(options))

    def cost(self, options: SearchOptions) -> int:
        """Its credits at the price of the settings, in millionths of a dollar."""
        return _credits(options) * self._credit_microusd

    def extract_claims(self, pages: int, depth: str = "basic") -> list[LookupClaim]:
        """One request, and what reading that many pages costs at most."""
        return self._account.claims(_RATE, _page_credits(pages, depth))

    async def search(self, question: str, options: SearchOptions, deadline: float) -> Findings:
        """Search within `deadline` seconds; a question is cut at 400 characters. Raises ProviderFailure."""
        ask = Ask(
            "POST",
            "/search",
            self._account.secret,
            _search_body(question, options),
            self.patience[options.depth],
            _judge,
        )
        return await self._asked(ask, deadline, _credits(options), options.max_results, "content")

    async def extract(self, urls: Sequence[str], deadline: float, depth: str = "basic") -> Findings:
        """The texts of up to 20 pages, at most 4,000 characters each; pages that it cannot read are left out.

        Raises ProviderFailure.
        """
        body = {
            "urls": list(urls)[:_MOST_PAGES],
            "extract_depth": depth,
            "format": "text",
            "include_usage": True,
        }
        ask = Ask("POST", "/extract", self._account.secret, body, 2 * self.patience[depth], _judge)
        return await self._asked(ask, deadline, _page_credits(len(urls), depth), _MOST_PAGES, "raw_content")

    async def usage(self, deadline: float) -> TavilyUsage:
        """What the account says. It answers ten times in ten minutes: ask by `UsageWatch`. Raises ProviderFailure."""
        tally = Tally()
        ask = Ask("GET", "/usage", self._account.secret, judge=_judge)
        with self._account.billed(self.name, _RATE, tally, 0):
            answer = mapping(await self._http.json(ask, deadline, tally))
            key, account = mapping(answer.get("key")), mapping(answer.get("account"))
            used = whole(key.get("usage"))
            if used is None:
                raise _malformed("usage says nothing of the key", charged=False)
        return TavilyUsage(
            used,
            whole(key.get("limit")),
            whole(account.get("plan_usage")),
            whole(account.get("plan_limit")),
        )

    async def close(self) -> None:
        """Close the connections of all keys."""
        await self._http.close()

    async def _asked(self, ask: Ask, deadline: float, price: int, most: int, text: str) -> Findings:
        """Send, and make findings of the answer; `price` is in credits, `text` the field that holds a result's text."""
        tally = Tally()
        with self._account.billed(self.name, _RATE, tally, price):
            answer = mapping(await self._http.json(ask, deadline, tally))
            results = answer.get("results")
            if not isinstance(results, list):
                tally.uncertain += 1
                raise _malformed("answered without results", charged=True)
        told = whole(mapping(answer.get("usage")).get("credits"))
        spent = price if told is None else told
        amounts = self._account.amounts(_RATE, tally, spent, price)
        return Findings(
            provider=self.name,
            results=distinct(
                (
                    cleaned(
                        row.get("url"),
                        row.get("title"),
                        row.get(text),
                        row.get("score"),
                        row.get("published_date"),
                    )
                    for row in mappings(results)
                ),
                most,
            ),
            cost_microusd=amounts[self.month_quota] * self._credit_microusd,
            amounts=amounts,
        )


def providers(settings: Settings) -> list[Tavily]:
    """One for every key of TAVILY_API_KEY. Raises Invalid for what is no key."""
    accounts = accounts_of(_NAME, settings.tavily_api_key, "TAVILY_API_KEY")
    if not accounts:
        return []
    http = JsonHttp(_NAME, settings.tavily_base_url)
    return [Tavily(http, account, microusd(settings.tavily_credit_usd)) for account in accounts]


def limits(settings: Settings) -> list[Limit]:
    """The quotas of every key."""
    found: list[Limit] = []
    for account in accounts_of(_NAME, settings.tavily_api_key, "TAVILY_API_KEY"):
        found += [
            rate(account, _RATE, settings.tavily_rate_per_minute, _WINDOW_SECONDS),
            monthly(account, settings.tavily_monthly_credits, "credit"),
            Limit(account.quota(_USAGE), "rate", 1, "reading", period=60.0, burst=1),
        ]
    return found


def _judge(refusal: Refusal) -> tuple[Cause, float | None]:
    if refusal.status in _SPENT:
        return "exhausted", refusal.retry_after or month_ends_in()
    if refusal.status == 403 and "not supported" in refusal.words:
        return "invalid", None
    return cause_of(refusal.status), refusal.retry_after


def _search_body(question: str, options: SearchOptions) -> dict[str, Any]:
    body: dict[str, Any] = {
        "query": one_line(question, _LONGEST_QUERY),
        "search_depth": options.depth,
        "topic": options.topic,
        "max_results": options.max_results,
        "include_answer": False,
        "include_usage": True,
    }
    if options.days is not None:
        first = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=options.days)
        body["start_date"] = first.isoformat()
    if options.include_domains:
        body["include_domains"] = options.include_domains
    if options.exclude_domains:
        body["exclude_domains"] = options.exclude_domains
    if options.language is not None:
        body["language"] = options.language
    return body


def _credits(options: SearchOptions) -> int:
    return 2 if options.depth == "advanced" else 1


def _page_credits(pages: int, depth: str) -> int:
    return -(-pages // _PAGES_A_CREDIT) * (2 if depth == "advanced" else 1)


def _malformed(words: str, *, charged: bool) -> ProviderFailure:
    return ProviderFailure(f"{_NAME} {words}", provider=_NAME, cause="transient", charged=charged, status=200)
