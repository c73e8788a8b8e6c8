"""A server on PyPI `fastmcp` with its OAuth proxy, for the auditor: `PORT [consent]`. The third party is nobody; tokens are words.

Without `consent` the proxy is told to leave out its own page.
"""
import sys

from fastmcp import FastMCP
from fastmcp.server.auth import OAuthProxy
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier

port = int(sys.argv[1])
base = f"http://127.0.0.1:{port}"
verifier = StaticTokenVerifier(tokens={"upstream-token-of-the-testkit": {"client_id": "own", "scopes": ["notes"]}}, required_scopes=["notes"])
proxy = OAuthProxy(
    upstream_authorization_endpoint="https://third-party.example/authorize",
    upstream_token_endpoint="https://third-party.example/token",
    upstream_client_id="the-one-of-the-proxy",
    upstream_client_secret="a-word-of-the-testkit-that-opens-nothing",
    token_verifier=verifier,
    base_url=base,
    require_authorization_consent=sys.argv[2:] == ["consent"],
)
server = FastMCP("fastmcp-proxy-server", auth=proxy)


@server.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


server.run(transport="http", host="127.0.0.1", port=port, show_banner=False)
