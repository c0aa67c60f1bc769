"""The tools, resources and prompts that the conformance suite asks a server for by name."""

import asyncio
import base64
import json
from typing import Any

from fastmcp import Context, FastMCP
from fastmcp.prompts import Message
from fastmcp.tools import FunctionTool, ToolResult
from mcp.types import (
    AudioContent,
    EmbeddedResource,
    ImageContent,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
# Forty-four bytes of header and no sound.
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA="

_DEFAULTS = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
_OPTIONS = ["option1", "option2", "option3"]
_TITLED = [{"const": f"value{n}", "title": f"Title {n}"} for n in (1, 2, 3)]
_ENUMS = {
    "untitledSingle": {"type": "string", "enum": _OPTIONS},
    "titledSingle": {"type": "string", "oneOf": _TITLED},
    "legacyEnum": {
        "type": "string",
        "enum": ["opt1", "opt2", "opt3"],
        "enumNames": ["Option One", "Option Two", "Option Three"],
    },
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
    "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
}
_SCHEMA_2020_12 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
    "additionalProperties": False,
}


def add_fixtures(server: FastMCP[Any]) -> None:
    """Register them all."""
    _add_contents(server)
    _add_behaviours(server)
    _add_questions(server)
    _add_resources(server)
    _add_prompts(server)


def _embedded(uri: str, text: str, media_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(
        type="resource", resource=TextResourceContents(uri=uri, mime_type=media_type, text=text)
    )


def _image() -> ImageContent:
    return ImageContent(type="image", data=PNG, mime_type="image/png")


def _add_contents(server: FastMCP[Any]) -> None:
    @server.tool
    async def test_simple_text() -> ToolResult:
        """Text."""
        return ToolResult(content="This is a simple text response for testing.")

    @server.tool
    async def test_image_content() -> ToolResult:
        """An image."""
        return ToolResult(content=[_image()])

    @server.tool
    async def test_audio_content() -> ToolResult:
        """Sound."""
        return ToolResult(content=[AudioContent(type="audio", data=WAV, mime_type="audio/wav")])

    @server.tool
    async def test_embedded_resource() -> ToolResult:
        """A resource."""
        text = "This is an embedded resource content."
        return ToolResult(content=[_embedded("test://embedded-resource", text)])

    @server.tool
    async def test_multiple_content_types() -> ToolResult:
        """Text, an image and a resource."""
        data = json.dumps({"test": "data", "value": 123})
        return ToolResult(
            content=[
                TextContent(type="text", text="Multiple content types test:"),
                _image(),
                _embedded("test://mixed-content-resource", data, "application/json"),
            ]
        )

    async def json_schema_2020_12_tool(name: str = "", address: dict[str, str] | None = None) -> str:
        return name

    made = FunctionTool.from_function(json_schema_2020_12_tool, description="A schema with all keywords.")
    server.add_tool(made.model_copy(update={"parameters": _SCHEMA_2020_12}))


def _add_behaviours(server: FastMCP[Any]) -> None:
    @server.tool
    async def test_tool_with_logging(context: Context) -> str:
        """Logs three lines."""
        await context.info("Tool execution started")
        await asyncio.sleep(0.05)
        await context.info("Tool processing data")
        await asyncio.sleep(0.05)
        await context.info("Tool execution completed")
        return "done"

    @server.tool
    async def test_tool_with_progress(context: Context) -> str:
        """Says three times how far it is."""
        for done in (0, 50, 100):
            await context.report_progress(done, 100)
            await asyncio.sleep(0.05)
        return "done"

    @server.tool
    async def test_error_handling() -> str:
        """Fails."""
        raise ValueError("This tool intentionally returns an error for testing")

    @server.tool
    async def test_reconnection(context: Context) -> str:
        """Closes its stream and answers when the client has come again."""
        await context.close_sse_stream()
        await asyncio.sleep(0.1)
        return "done"


def _add_questions(server: FastMCP[Any]) -> None:
    async def ask(context: Context, message: str, properties: dict[str, Any]) -> str:
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        answer = await context.session.elicit_form(message, schema, related_request_id=context.request_id)
        return f"action={answer.action}, content={json.dumps(answer.content)}"

    @server.tool
    async def test_sampling(prompt: str, context: Context) -> str:
        """Asks the client's model."""
        asked = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
        answer = await context.session.create_message(
            [asked], max_tokens=100, related_request_id=context.request_id
        )
        return f"LLM response: {answer.content}"

    @server.tool
    async def test_elicitation(message: str, context: Context) -> str:
        """Asks the user."""
        text = {"type": "string", "description": "User's response"}
        return "User response: " + await ask(context, message, {"username": text, "email": text})

    @server.tool
    async def test_elicitation_sep1034_defaults(context: Context) -> str:
        """Asks the user, with defaults."""
        return "Elicitation completed: " + await ask(context, "Who?", _DEFAULTS)

    @server.tool
    async def test_elicitation_sep1330_enums(context: Context) -> str:
        """Asks the user to choose."""
        return "Elicitation completed: " + await ask(context, "Which?", _ENUMS)


def _add_resources(server: FastMCP[Any]) -> None:
    @server.resource("test://static-text", description="Text.", mime_type="text/plain")
    async def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", description="An image.", mime_type="image/png")
    async def static_binary() -> bytes:
        return base64.b64decode(PNG)

    @server.resource("test://watched-resource", description="Watched.", mime_type="text/plain")
    async def watched() -> str:
        return "Watched."

    @server.resource("test://template/{id}/data", description="Data by id.", mime_type="application/json")
    async def template(id: str) -> str:
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def _add_prompts(server: FastMCP[Any]) -> None:
    @server.prompt
    def test_simple_prompt() -> str:
        """Text."""
        return "This is a simple prompt for testing."

    @server.prompt
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """Text with two arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:
        """A resource and text."""
        embedded = _embedded(resourceUri, "Embedded resource content for testing.")
        return [Message(embedded), Message("Please process the embedded resource above.")]

    @server.prompt
    def test_prompt_with_image() -> list[Message]:
        """An image and text."""
        return [Message(_image()), Message("Please analyze the image above.")]
