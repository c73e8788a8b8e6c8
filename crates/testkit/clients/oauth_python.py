"""The official Python client, unmodified: finds the authorization server, registers, sends a person to the browser, calls.

  oauth_python.py URL      one step for each word on standard input: connect, refresh, more, again; each answers with one line of JSON
"""

import asyncio
import importlib.metadata
import json
import os
import sys
import time
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata


class Memory:
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Callback:
    """What comes back from the browser."""

    def __init__(self):
        self.arrived = asyncio.Queue()

    async def listen(self):
        self.server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def answer(self, reader, writer):
        line = (await reader.readline()).decode()
        if line.startswith("GET /callback"):
            self.arrived.put_nowait(parse_qs(urlsplit(line.split(" ")[1]).query))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    async def result(self):
        found = await self.arrived.get()
        one = lambda name: found.get(name, [None])[0]
        return AuthorizationCodeResult(code=one("code"), state=one("state"), iss=one("iss"))


async def browse(address):
    await asyncio.create_subprocess_exec(os.environ["BROWSER"], address)


def ahead(now=time.time):
    """Two hours pass for this program: it refreshes what it believes to be too old, and nothing for a 401."""
    time.time = lambda: now() + 7200


async def step(word, url, auth):
    if word == "refresh":
        ahead()
    async with httpx2.AsyncClient(auth=auth, timeout=100) as http:
        async with Client(streamable_http_client(url, http_client=http), mode="auto") as client:
            tools = {tool.name: tool.model_dump(by_alias=True)["inputSchema"] for tool in (await client.list_tools()).tools}
            if word == "more":
                # More than was allowed: the client asks for it by itself, where it can.
                text = (await client.call_tool("delete_note", {"id": "3"})).content[0].text
                return {"text": "through the front office" if text.endswith(" is gone.") else text}
            # Every example server calls the one argument of its echo something else.
            argument = next(iter(tools["echo"]["properties"]))
            result = await client.call_tool("echo", {argument: "through the front office"})
    return {"version": importlib.metadata.version("mcp"), "tools": len(tools), "text": result.content[0].text}


async def main(url):
    callback, storage = Callback(), Memory()
    port = await callback.listen()
    metadata = OAuthClientMetadata(
        client_name="Python client", redirect_uris=[f"http://127.0.0.1:{port}/callback"], token_endpoint_auth_method="none"
    )
    auth = OAuthClientProvider(url, metadata, storage, redirect_handler=browse, callback_handler=callback.result)
    loop = asyncio.get_running_loop()
    while word := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        try:
            answer = await asyncio.wait_for(step(word, url, auth), 110)
        except BaseException as error:
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


asyncio.run(main(sys.argv[1]))
