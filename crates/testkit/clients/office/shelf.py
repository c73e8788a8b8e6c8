"""The clients that a run drives, in the order of the table. Versions are those that scripts/oauth installs; each client's own word is checked."""

import json
import pathlib

from programs import PROGRAMS
from steps import Client, Failed, Library, run, tail

HERE = pathlib.Path(__file__).resolve().parent.parent
TEXT = "through the front office"


def package(folder, name):
    return json.loads((pathlib.Path(folder) / "node_modules" / name / "package.json").read_text())["version"]


class Python(Library):
    name, package, stage = "Python `mcp`", "PyPI mcp", "ci"
    asks_for_more = True

    def command(self):
        return [self.places["python"], str(HERE / "oauth_python.py"), self.house.url]


class TypeScript(Library):
    name, package, stage, which = "TypeScript `client`", "npm @modelcontextprotocol/client", "ci", "client"
    asks_for_more = True

    def command(self):
        return [self.house.node, str(HERE / "oauth_node.cjs"), self.which, self.house.url]

    def variables(self):
        return {"NODE_PACKAGES": self.places["clients"]}


class TypeScriptSdk(TypeScript):
    name, package, which = "TypeScript `sdk`", "npm @modelcontextprotocol/sdk", "sdk"


class Fastmcp(Library):
    name, package, stage = "fastmcp", "PyPI fastmcp", "ci"

    def command(self):
        return [self.places["fastmcp"], str(HERE / "oauth_fastmcp.py"), self.house.url]


class McpRemote(Client):
    name, package, stage = "mcp-remote", "npm mcp-remote", "ci"

    def connect(self):
        script = f"{self.places['mcp-remote']}/node_modules/mcp-remote/dist/proxy.js"
        command = [self.places["python"], str(HERE / "stdio_once.py"), self.house.node, script, self.house.url, "--auth-timeout", "100"]
        environment = self.house.environment(self.home, MCP_REMOTE_CONFIG_DIR=str(self.home / "auth"))
        code, out, err = run(command, environment)
        answer = json.loads(out.splitlines()[-1]) if out.startswith("{") else {"error": tail(out + err)}
        if code != 0:
            raise Failed(f"{answer['error']}: {tail(err)}")
        return {"version": package(self.places["mcp-remote"], "mcp-remote"), **answer}


class Inspector(Client):
    name, package, stage = "Inspector, command line", "npm @modelcontextprotocol/inspector", "ci"

    def _run(self, *arguments):
        launcher = f"{self.places['inspector']}/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
        environment = self.house.environment(
            self.home, MCP_STORAGE_DIR=str(self.home / "store"), MCP_INSPECTOR_SECRET_STORE="file", MCP_AUTO_OPEN_ENABLED="true",
        )
        code, out, err = run([self.house.node, launcher, "--cli", self.house.url, "--format", "json", *arguments], environment)
        if code != 0:
            raise Failed(f"exit {code}: {tail(err)}")
        return json.loads(out)["result"]

    def connect(self):
        tools = self._run("--method", "tools/list")["tools"]
        text = self._run("--method", "tools/call", "--tool-name", "echo", "--tool-arg", f"text={TEXT}")["content"][0]["text"]
        return {"version": package(self.places["inspector"], "@modelcontextprotocol/inspector"), "tools": len(tools), "text": text}

    def give_back(self):
        # Its manual: this ends the grant at the authorization server, and starts anew.
        self._run("--relogin", "--method", "tools/list")


class Rmcp(Library):
    name, package, stage = "rmcp", "crates.io rmcp, features auth and reqwest", "all"

    def command(self):
        return [self.places["rmcp"], self.house.url]


CLIENTS = [Python, TypeScript, TypeScriptSdk, Fastmcp, McpRemote, Inspector, Rmcp, *PROGRAMS]
