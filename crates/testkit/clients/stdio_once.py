"""The official Python client over stdio, as a host of bridges: starts a command, lists the tools, calls one, prints one line of JSON.

  stdio_once.py COMMAND ARGUMENT...
"""

import asyncio
import json
import os
import sys

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main(program, *arguments):
    parameters = StdioServerParameters(command=program, args=list(arguments), env=dict(os.environ))
    async with Client(stdio_client(parameters), mode="legacy") as client:
        tools = (await client.list_tools()).tools
        result = await client.call_tool("echo", {"text": "through the front office"})
    print(json.dumps({"tools": len(tools), "text": result.content[0].text}), flush=True)


try:
    asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 110))
except BaseException as error:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
    sys.exit(1)
