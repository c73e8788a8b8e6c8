"""An upstream on PyPI `fastmcp`: `stdio`, or `http PORT`. One tool, `add`."""
import sys

from fastmcp import FastMCP

server = FastMCP("fastmcp-server")


@server.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


if sys.argv[1] == "stdio":
    server.run(transport="stdio", show_banner=False)
else:
    server.run(transport="http", host="127.0.0.1", port=int(sys.argv[2]), show_banner=False)
