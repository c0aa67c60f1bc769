"""Perplexity: searches of its index.

400, 422     the question is wrong
401          the key is refused - or its credits are spent, which comes as the same status: it is read as that when
             the error speaks of money, or when this process has seen the key accepted before
403          we are refused, chat_completions_not_available of a retired address included
429          too fast
"""

import datetime
import re
from typing import Any, Final

from lycosa.analysis.texts import one_line
from lycosa.procedures import LookupClaim
from lycosa.providers.accounts import MICROUSD_SCALE, Account, Limit, accounts_of, microusd, monthly, rate
from lycosa.providers.findings import Cause, Findings, ProviderFailure, SearchOptions, cleaned, distinct
from lycosa.providers.json_http import Ask, JsonHttp, Tally
from lycosa.providers.lenient import mapping, mappings
from lycosa.providers.refusals import Refusal, cause_of
from lycosa.settings import Settings

__all__ = ["AGENT_RATE", "MONTH", "NAME", "Perplexity", "Trust", "limits", "providers"]

NAME: Final = "perplexity"
RATE: Final = "rate"
AGENT_RATE: Final = "agent"
MONTH: Final = "month"
_VARIABLE: Final = "PERPLEXITY_API_KEY"
_LONGEST_QUERY: Final = 2_000
_PATIENCE_SECONDS: Final = 5.0
# Both limits are told by the second.
_WINDOW_SECONDS: Final = 1.0
_TOKENS_A_PAGE: Final = 1_024
_MONEY: Final = re.compile(r"credit|quota|billing|balance|payment|insufficient|funds", re.I)


class Trust:
    """Whether a key has been accepted by this process, which a 401 is read by."""

    def __init__(self) -> None:
        self.accepted = False

    def judge(self, refusal: Refusal) -> tuple[Cause, float | None]:
        """The cause of an error status, and the seconds to wait where it says."""
        if refusal.status == 401:
            said = f"{refusal.words} {refusal.error.get('type')} {refusal.error.get('code')}"
            spent = self.accepted or _MONEY.search(said) is not None
            return "exhausted" if spent else "refused", refusal.retry_after
        return cause_of(refusal.status), refusal.retry_after


class Perplexity:
    """One key of Perplexity, for searches."""

    def __init__(self, http: JsonHttp, account: Account, search_microusd: int, trust: Trust) -> None:
        self._http = http
        self._account = account
        self._price = search_microusd
        self._trust = trust

    @property
    def name(self) -> str:
        """Of this key among the providers."""
        return self._account.name

    def claims(self, options: SearchOptions) -> list[LookupClaim]:
        """One request and its price."""
        return self._account.claims(RATE, self._price)

    def cost(self, options: SearchOptions) -> int:
        """Its price by the settings, in millionths of a dollar."""
        return self._price

    async def search(self, question: str, options: SearchOptions, deadline: float) -> Findings:
        """Search within `deadline` seconds; a question is cut at 2,000 characters. Raises ProviderFailure."""
        tally = Tally()
        body = _search_body(question, options)
        ask = Ask("POST", "/search", self._account.secret, body, _PATIENCE_SECONDS, self._trust.judge)
        with self._account.billed(self.name, RATE, tally, self._price):
            results = mapping(await self._http.json(ask, deadline, tally)).get("results")
            if not isinstance(results, list):
                tally.uncertain += 1
                raise ProviderFailure(
                    f"{NAME} answered without results",
                    provider=NAME,
                    cause="transient",
                    charged=True,
                    status=200,
                )
        self._trust.accepted = True
        amounts = self._account.amounts(RATE, tally, self._price, self._price)
        return Findings(
            provider=self.name,
            results=distinct(
                (
                    cleaned(row.get("url"), row.get("title"), row.get("snippet"), None, row.get("date"))
                    for row in mappings(results)
                ),
                options.max_results,
            ),
            cost_microusd=amounts[self._account.quota(MONTH)],
            amounts=amounts,
        )

    async def close(self) -> None:
        """Close the connections of all keys."""
        await self._http.close()


def accounts(settings: Settings) -> list[Account]:
    """The keys of PERPLEXITY_API_KEY. Raises Invalid for what is no key."""
    return accounts_of(NAME, settings.perplexity_api_key, _VARIABLE)


def providers(settings: Settings) -> list[Perplexity]:
    """One for every key of PERPLEXITY_API_KEY. Raises Invalid for what is no key."""
    found = accounts(settings)
    http = JsonHttp(NAME, settings.perplexity_base_url) if found else None
    price = microusd(settings.perplexity_search_usd)
    return [Perplexity(http, account, price, Trust()) for account in found if http is not None]


def limits(settings: Settings) -> list[Limit]:
    """The quotas of every key, those of its agent included: both spend the same dollars."""
    found: list[Limit] = []
    for account in accounts(settings):
        found += [
            rate(account, RATE, settings.perplexity_rate_per_minute, _WINDOW_SECONDS),
            rate(account, AGENT_RATE, settings.perplexity_agent_rate_per_minute, _WINDOW_SECONDS),
            monthly(account, microusd(settings.perplexity_monthly_usd), "USD", MICROUSD_SCALE),
        ]
    return found


def _search_body(question: str, options: SearchOptions) -> dict[str, Any]:
    body: dict[str, Any] = {
        "query": one_line(question, _LONGEST_QUERY),
        "max_results": options.max_results,
        "max_tokens_per_page": _TOKENS_A_PAGE,
    }
    # Either the domains wanted or those not wanted: it refuses both at once, and who is named alone excludes the rest.
    domains = options.include_domains or [f"-{domain}" for domain in options.exclude_domains]
    if domains:
        body["search_domain_filter"] = domains
    if options.days is not None:
        first = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=options.days)
        body["search_after_date_filter"] = first.strftime("%m/%d/%Y")
    if options.language is not None:
        body["search_language_filter"] = [options.language]
    return body
