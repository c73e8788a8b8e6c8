"""Drives PyPI `mcp`: URL KEY_FILE ERA TOOL ARGUMENTS -> one JSON line. KEY_FILE "-" sends no key. URL "stdio:PROGRAM ARG..." starts a child."""
import asyncio
import json
import pathlib
import sys

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


async def drive(url, key_file, era, tool, arguments):
    mode = {"legacy": "legacy", "modern": "2026-07-28", "auto": "auto"}[era]
    if url.startswith("stdio:"):
        program, *rest = url.removeprefix("stdio:").split()
        return await talk(stdio_client(StdioServerParameters(command=program, args=rest)), mode, tool, arguments)
    headers = {} if key_file == "-" else {"Authorization": "Bearer " + pathlib.Path(key_file).read_text().strip()}
    async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
        return await talk(streamable_http_client(url, http_client=http), mode, tool, arguments)


async def talk(transport, mode, tool, arguments):
    async with Client(transport, mode=mode) as client:
        tools = [one.name for one in (await client.list_tools()).tools]
        result = await client.call_tool(tool, arguments)
        return tools, not result.is_error, None if not result.is_error else str(result.content)


def main():
    url, key_file, era, tool, arguments = sys.argv[1:6]
    report = {"client": "python-mcp", "era": era, "tools": 0, "ok": False, "error": None}
    try:
        tools, report["ok"], report["error"] = asyncio.run(asyncio.wait_for(drive(url, key_file, era, tool, json.loads(arguments)), 30))
        report["tools"] = len(tools)
    except BaseException as error:
        report["error"] = f"{type(error).__name__}: {error}"[:300]
    print(json.dumps(report))
    return 0 if report["ok"] else 1


sys.exit(main())
