"""The official Python client, unmodified: finds the authorization server, registers, sends a person to the browser, calls.

  oauth_python.py URL BROWSER...      BROWSER is the command that opens an address, which is added to it
"""

import asyncio
import importlib.metadata
import sys
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


async def main(url, browser):
    arrived = asyncio.get_running_loop().create_future()

    async def callback(reader, writer):
        line = (await reader.readline()).decode()
        if line.startswith("GET /callback") and not arrived.done():
            arrived.set_result(parse_qs(urlsplit(line.split(" ")[1]).query))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(callback, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def redirect(address):
        process = await asyncio.create_subprocess_exec(*browser, address)
        if await process.wait() != 0:
            arrived.cancel()

    async def answered():
        found = await arrived
        one = lambda name: found.get(name, [None])[0]
        return AuthorizationCodeResult(code=one("code"), state=one("state"), iss=one("iss"))

    metadata = OAuthClientMetadata(
        client_name="Python client", redirect_uris=[f"http://127.0.0.1:{port}/callback"], token_endpoint_auth_method="none"
    )
    storage = Memory()
    auth = OAuthClientProvider(url, metadata, storage, redirect_handler=redirect, callback_handler=answered)
    async with httpx2.AsyncClient(auth=auth, timeout=60) as http:
        async with Client(streamable_http_client(url, http_client=http), mode="auto") as client:
            tools = {tool.name: tool.model_dump(by_alias=True)["inputSchema"] for tool in (await client.list_tools()).tools}
            # Every example server calls the one argument of its echo something else.
            argument = next(iter(tools["echo"]["properties"]))
            result = await client.call_tool("echo", {argument: "through the front office"})
            text = result.content[0].text
    print(f"mcp {importlib.metadata.version('mcp')}: {len(tools)} tools, echo says {text!r}, scope {storage.tokens.scope!r}")
    if "through the front office" not in text or not storage.tokens.refresh_token:
        sys.exit("not what was expected")


asyncio.run(asyncio.wait_for(main(sys.argv[1], sys.argv[2:]), 90))
