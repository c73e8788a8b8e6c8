"""Drives PyPI `fastmcp`: URL KEY_FILE ERA TOOL ARGUMENTS -> one JSON line. KEY_FILE "-" sends no key."""
import asyncio
import json
import pathlib
import sys

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport


async def drive(url, key_file, era, tool, arguments):
    mode = {"legacy": "legacy", "modern": "2026-07-28", "auto": "auto"}[era]
    headers = {} if key_file == "-" else {"Authorization": "Bearer " + pathlib.Path(key_file).read_text().strip()}
    async with Client(StreamableHttpTransport(url, headers=headers), mode=mode) as client:
        tools = await client.list_tools()
        result = await client.call_tool(tool, arguments, raise_on_error=False)
        return len(tools), not result.is_error, None if not result.is_error else str(result.content)


def main():
    url, key_file, era, tool, arguments = sys.argv[1:6]
    report = {"client": "fastmcp", "era": era, "tools": 0, "ok": False, "error": None}
    try:
        running = asyncio.wait_for(drive(url, key_file, era, tool, json.loads(arguments)), 30)
        report["tools"], report["ok"], report["error"] = asyncio.run(running)
    except BaseException as error:
        report["error"] = f"{type(error).__name__}: {error}"[:300]
    print(json.dumps(report))
    return 0 if report["ok"] else 1


sys.exit(main())
