"""What writes in the examples where no language model is at hand: it looks a customer up, reads, and reports.

It decides by rules, so a run of the example is the same everywhere; everything around it is what a real model gets.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable

_QUOTED = re.compile(r"[\"«“](.+?)[\"»”]")
_NAMED = re.compile(r"(?<=\s)[A-ZА-ЯЁ][\w.&-]+(?:\s[A-ZА-ЯЁ][\w.&-]*)*")


class ScriptedModel(BaseChatModel):
    """Asks `find_customers`, then `search_documents`, then answers from what they brought."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Itself: it knows the tools."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=_next(messages))])


def _next(messages: Sequence[BaseMessage]) -> AIMessage:
    asked = max(place for place, message in enumerate(messages) if isinstance(message, HumanMessage))
    question = str(messages[asked].text)
    brought = {
        message.name: _data(message) for message in messages[asked:] if isinstance(message, ToolMessage)
    }
    if "find_customers" not in brought:
        named = _QUOTED.search(question) or _NAMED.search(question)
        if named is None:
            known = [message for message in messages[:asked] if isinstance(message, HumanMessage)]
            return AIMessage(f"Which customer? So far you asked: {'; '.join(str(m.text) for m in known)}")
        return _call("find_customers", value=named[named.lastindex or 0])
    rows = brought["find_customers"].get("rows", [])
    if not rows:
        return AIMessage("There is no such customer.")
    customer = rows[0]
    if "search_documents" not in brought:
        return _call("search_documents", query=question, customer_id=customer["id"], limit=3)
    hits = brought["search_documents"].get("hits", [])
    told = [f"{customer['name']} ({customer['id']}), segment {customer['segment'] or 'none'}."]
    told += [f"- {hit['title']}: {hit['text'].split('. ')[0].strip()} [{hit['id']}]" for hit in hits]
    return AIMessage("\n".join(told))


def _call(name: str, **arguments: object) -> AIMessage:
    return AIMessage("", tool_calls=[tool_call(name=name, args=arguments, id=f"call-{name}")])


def _data(message: ToolMessage) -> dict[str, Any]:
    """What stands between the marks."""
    for line in str(message.text).splitlines():
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    return {}
