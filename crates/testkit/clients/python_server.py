"""An upstream on PyPI `mcp`: `stdio`, or `http PORT`. One tool, `add`."""
import sys

from mcp.server import MCPServer

server = MCPServer("python-mcp-server")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


if sys.argv[1] == "stdio":
    server.run("stdio")
else:
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
