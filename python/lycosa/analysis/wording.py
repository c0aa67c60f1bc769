"""What rules, queries and the extractive writer say, in both languages, and the words they look for."""

import re
from typing import Final

from lycosa.analysis.report import Language

__all__ = [
    "ABSENT",
    "GRAVE",
    "NEGATION",
    "OPPORTUNITY",
    "OPPORTUNITY_LABEL",
    "RISK",
    "RISK_LABEL",
    "money",
    "say",
]

_PHRASES: Final[dict[str, tuple[str, str]]] = {
    # record, one line each
    "record.name": ("Name: {name}.", "Название: {name}."),
    "record.segment": ("Segment: {segment}.", "Сегмент: {segment}."),
    "record.place": ("Country: {country}.", "Страна: {country}."),
    "record.industry": ("Industry: {industry}.", "Отрасль: {industry}."),
    "record.sales": (
        "Orders: {orders}, bought for {revenue} in total.",
        "Заказов: {orders}, куплено всего на {revenue}.",
    ),
    "record.since": ("Customer since {since}.", "Клиент с {since}."),
    "record.tags": ("Tags: {tags}.", "Метки: {tags}."),
    "record.title": ("Customer record", "Карточка клиента"),
    "segment.title": ("Segment figures", "Показатели сегмента"),
    "segment.text": (
        "Segment {segment}: {customers} customers, on average {orders} orders for {revenue} each.",
        "Сегмент {segment}: клиентов {customers}, в среднем заказов {orders} на {revenue} у каждого.",
    ),
    # what the web is asked
    "web.news": ("{name} {about} latest news", "{name} {about} последние новости"),
    "web.risks": ("{name} lawsuits debts sanctions layoffs", "{name} суд долги санкции сокращения"),
    "web.plans": ("{name} plans products investments", "{name} планы продукты инвестиции"),
    # summary
    "summary.who": ("{name} is a customer", "{name} — наш клиент"),
    "summary.where": (" in the segment {segment}", " в сегменте {segment}"),
    "summary.since": (" since {since}", " с {since}"),
    "summary.sales": (
        ", with {orders} orders for {revenue} in total.",
        ", заказов {orders}, всего на {revenue}.",
    ),
    "summary.texts": ("From the stored texts: ", "Из сохранённых текстов: "),
    "summary.nothing": (
        "The store holds no text about this customer.",
        "Текстов об этом клиенте в хранилище нет.",
    ),
    # rules
    "risk.orders": (
        "{orders} orders are below half of the segment's mean of {mean}.",
        "Заказов {orders}: меньше половины среднего по сегменту ({mean}).",
    ),
    "opportunity.below": (
        "Bought for {revenue}, the segment's mean is {mean}: room to grow.",
        "Куплено на {revenue}, в среднем по сегменту {mean}: есть куда расти.",
    ),
    "opportunity.above": (
        "Bought for {revenue}, well above the segment's mean of {mean}: a candidate for a closer relation.",
        "Куплено на {revenue}, намного больше среднего по сегменту ({mean}): кандидат на более тесную работу.",
    ),
    "question.missing": ("The record does not say: {field}.", "В карточке не указано: {field}."),
    "question.texts": (
        "No stored text is about this customer: what is known about them?",
        "О клиенте нет ни одного текста: что о нём известно?",
    ),
    "question.notes": (
        "There are no notes on the relation: how is it going?",
        "Нет заметок об отношениях с клиентом: как они складываются?",
    ),
    "question.unanswered": (
        "The stored texts hold nothing on the question asked: {question}",
        "В сохранённых текстах нет ничего по заданному вопросу: {question}",
    ),
    "field.email": ("e-mail address", "адрес электронной почты"),
    "field.country": ("country", "страна"),
    "field.industry": ("industry", "отрасль"),
    "field.segment": ("segment", "сегмент"),
    "field.since": ("since when they are a customer", "с какого времени клиент"),
}


def say(phrase: str, language: Language, **values: object) -> str:
    """A phrase with its values filled in."""
    return _PHRASES[phrase][0 if language == "en" else 1].format(**values)


def money(cents: float, language: Language) -> str:
    """An amount without a currency, which the record does not know: 1,234.50 or 1 234,50."""
    text = f"{cents / 100:,.2f}"
    return text if language == "en" else text.replace(",", " ").replace(".", ",")


def _beginnings(*stems: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(stems)})", re.IGNORECASE)


# In notes on the relation these words tell of a risk ...
RISK: Final = _beginnings(
    r"complain", r"delay", r"late\b", r"overdue", r"cancel", r"churn", r"terminat", r"disput", r"lawsuit", r"outage",
    r"sanction", r"bankrupt", r"insolven", r"incident", r"breach", r"unhappy", r"dissatisf", r"escalat",
    r"unresolved", r"support (?:ticket|case|topic)", r"ticket", r"competitor", r"penalt", r"failed", r"failure",
    r"slow\b", r"concern", r"risk", r"unpaid", r"has not (?:paid|answered|replied)", r"freez", r"cuts?\b",
    r"жалоб", r"жалу", r"просроч", r"задерж", r"опозда", r"отмен", r"отказ", r"расторг", r"расторж", r"судеб",
    r"санкци", r"банкрот", r"сбо[йеия]", r"инцидент", r"утечк", r"недовол", r"эскалац", r"не ?реш[её]н", r"конкурент",
    r"штраф", r"отток", r"претензи", r"не оплач", r"неоплач", r"обращени\w+ в поддержк", r"заявк\w+ в поддержк",
    r"медленн", r"беспоко", r"риск", r"заморо", r"сокращ",
)  # fmt: skip
# ... in other texts, which tell of the past as well, only the gravest count.
GRAVE: Final = _beginnings(
    r"sanction", r"bankrupt", r"insolven", r"lawsuit", r"data breach", r"antitrust",
    r"санкци", r"банкрот", r"судеб", r"утечк\w+ данных", r"антимонопольн",
)  # fmt: skip
OPPORTUNITY: Final = _beginnings(
    r"opportunit", r"возможност",
    r"renew", r"expan", r"upgrad", r"additional", r"interested", r"interest in", r"pilot", r"asked for", r"asks for",
    r"quote\b", r"proposal", r"budget", r"would like", r"wants? ", r"wish", r"plans? to", r"considering", r"evaluat",
    r"demo\b", r"more (?:licen[cs]es|seats|users|sites)", r"roll ?out", r"new (?:site|office|region)",
    r"продл", r"расшир", r"заинтерес", r"интерес", r"пилот", r"бюджет", r"предложени", r"дополнительн", r"планиру",
    r"хотят", r"хочет", r"хотел", r"просят", r"просит", r"попросил", r"рассматрива", r"внедр", r"демо",
    r"нов(?:ый|ые|ого|ых) (?:филиал|офис|площадк)",
)  # fmt: skip
# Right before such a word: nothing of the kind happened.
NEGATION: Final = re.compile(
    r"\b(?:no|not|never|without|resolved|нет|не|без|ни|никаких|устранен\w*|закрыт\w*)(?:\s+[^\s.,;:]+){0,2}\s*$",
    re.IGNORECASE,
)
# After it, in the same clause: Russian puts its denial there.
ABSENT: Final = re.compile(r"^[^.,;:]*\bнет\b", re.IGNORECASE)
# A sentence that says itself what it is.
RISK_LABEL: Final = re.compile(r"(?:risks?|рис(?:к|ки))\s*:", re.IGNORECASE)
OPPORTUNITY_LABEL: Final = re.compile(r"(?:opportunit(?:y|ies)|возможност[ьи])\s*:", re.IGNORECASE)
