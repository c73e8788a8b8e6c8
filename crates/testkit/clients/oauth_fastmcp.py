"""fastmcp, unmodified, as its manual says: `auth=OAuth(...)` with a store of its own kind. It opens the browser itself (BROWSER).

  oauth_fastmcp.py URL     one step for each word on standard input: connect, refresh, again; each answers with one line of JSON
"""

import asyncio
import importlib.metadata
import json
import sys
import time

from fastmcp import Client
from fastmcp.client.auth import OAuth
from key_value.aio.stores.memory import MemoryStore


def ahead(now=time.time):
    """Two hours pass for this program: it refreshes what it believes to be too old, and nothing for a 401."""
    time.time = lambda: now() + 7200


async def step(word, url, store):
    if word == "refresh":
        ahead()
    auth = OAuth(url, token_storage=store)
    async with Client(url, auth=auth) as client:
        tools = await client.list_tools()
        result = await client.call_tool("echo", {"text": "through the front office"})
    return {"version": importlib.metadata.version("fastmcp"), "tools": len(tools), "text": result.content[0].text}


async def main(url):
    store = MemoryStore()
    loop = asyncio.get_running_loop()
    while word := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        try:
            answer = await asyncio.wait_for(step(word, url, store), 110)
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


asyncio.run(main(sys.argv[1]))
