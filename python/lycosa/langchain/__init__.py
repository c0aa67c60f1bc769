"""Components of LangChain and LangGraph that keep what they keep in the store.

Import each from its own module: `lycosa.langchain.cache`, `lycosa.langchain.connection` and so on.
"""
