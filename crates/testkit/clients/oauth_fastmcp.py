"""fastmcp, unmodified, as its manual says: `auth="oauth"`. It opens the browser itself (BROWSER in the environment)."""

import asyncio
import importlib.metadata
import sys

from fastmcp import Client


async def main(url):
    async with Client(url, auth="oauth") as client:
        tools = [tool.name for tool in await client.list_tools()]
        result = await client.call_tool("echo", {"text": "through the front office"})
        text = result.content[0].text
    print(f"fastmcp {importlib.metadata.version('fastmcp')}: {len(tools)} tools, echo says {text!r}")
    if "through the front office" not in text:
        sys.exit("not what was expected")


asyncio.run(asyncio.wait_for(main(sys.argv[1]), 90))
