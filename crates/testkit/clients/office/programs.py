"""Agents as people install them: programs with a model behind them. None is here: tools are called by hand where the program has a way for
it, or a model that speaks from a script (`script_model.py`) asks for the call.
"""

import json
import pathlib
import subprocess
import threading

from script_model import ScriptModel
from steps import Client, Failed, end, run, run_in_terminal, spoil, tail

HERE = pathlib.Path(__file__).resolve().parent.parent
TEXT = "through the front office"


class Codex(Client):
    """Logs in by its command line. Its app server calls a tool for whoever drives it, without a model."""

    name, package, stage = "Codex", "npm @openai/codex", "all"

    def _program(self):
        found = sorted(pathlib.Path(self.places["codex"]).glob("node_modules/@openai/codex-*/vendor/*/**/codex"))
        return str(next(path for path in found if path.is_file()))

    def _environment(self):
        home = self.home / ".codex"
        home.mkdir(exist_ok=True)
        config = home / "config.toml"
        if not config.exists():
            # Where there is no keychain its logout fails otherwise.
            config.write_text('mcp_oauth_credentials_store = "file"\n')
        return self.house.environment(self.home, CODEX_HOME=str(home))

    def _run(self, *arguments):
        code, out, err = run([self._program(), *arguments], self._environment(), cwd=self.home)
        if code != 0:
            raise Failed(f"{arguments[0]} {arguments[1]}: {tail(out + err)}")
        return out

    def connect(self):
        # Adding a server whose metadata speak of OAuth starts a login by itself.
        self._run("mcp", "add", "demo", "--url", self.house.url)
        return self._call()

    def refresh(self):
        # It refreshes what it believes to be too old; a token that is refused it does not.
        file = self.home / ".codex" / ".credentials.json"
        kept = json.loads(file.read_text())
        for one in kept.values():
            one["expires_at"] = 1
        file.write_text(json.dumps(kept))
        return self._call()

    def again(self):
        try:
            return self._call()
        except Failed as why:
            self.said, self.again_by = str(why), "`codex mcp login`"
        self._run("mcp", "login", "demo")
        return self._call()

    def give_back(self):
        self._run("mcp", "logout", "demo")

    def _call(self):
        version = run([self._program(), "--version"], self._environment())[1].split()[-1]
        with Lines([self._program(), "app-server"], self._environment(), self.home) as server:
            server.ask("initialize", {"clientInfo": {"name": "doorward", "version": "1"}})
            server.tell("initialized")
            start = {"cwd": str(self.home), "approvalPolicy": "never", "sandbox": "read-only", "ephemeral": True}
            thread = server.ask("thread/start", start)["thread"]["id"]
            listed = server.ask("mcpServerStatus/list", {"threadId": thread})["data"]
            call = {"threadId": thread, "server": "demo", "tool": "echo", "arguments": {"text": TEXT}}
            result = server.ask("mcpServer/tool/call", call)
        return {"version": version, "tools": len(listed[0]["tools"]), "text": result["content"][0]["text"]}


class Lines:
    """A program that answers JSON-RPC in lines."""

    def __init__(self, command, environment, folder):
        self.command, self.environment, self.folder, self.number = command, environment, folder, 0

    def __enter__(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            self.command, env=self.environment, cwd=self.folder, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        )
        # Whatever hangs ends: the reader sees the end of the stream.
        self.timer = threading.Timer(100, end, [self.process])
        self.timer.start()
        return self

    def __exit__(self, *_):
        self.timer.cancel()
        end(self.process)

    def tell(self, method, parameters=None, **more):
        message = {"method": method, **more, **({"params": parameters} if parameters is not None else {})}
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"{method}: the program has ended") from None

    def ask(self, method, parameters):
        self.number += 1
        self.tell(method, parameters, id=self.number)
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("id") == self.number and "method" not in message:
                if "error" in message:
                    raise Failed(f"{method}: {tail(message['error']['message'])}")
                return message["result"]
        raise Failed(f"{method}: no answer")


class OpenCode(Client):
    """Logs in by its command line, and calls tools if a model asks for it."""

    name, package, stage = "OpenCode", "npm opencode-ai", "all"

    def _run(self, *arguments, model=""):
        found = sorted(pathlib.Path(self.places["opencode"]).glob("node_modules/opencode-*/bin/opencode"), key=lambda path: len(str(path)))
        config = {
            "autoupdate": False, "share": "disabled", "mcp": {"demo": {"type": "remote", "url": self.house.url, "enabled": True}},
            "model": "script/one", "small_model": "script/one",
            "provider": {"script": {"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": f"{model}/v1", "apiKey": "none"}, "models": {"one": {}}}},
        }
        folder = self.home / ".config" / "opencode"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "opencode.json").write_text(json.dumps(config))
        quiet = dict.fromkeys(("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS"), "1")
        environment = self.house.environment(self.home, **{f"OPENCODE_DISABLE_{what}": yes for what, yes in quiet.items()})
        code, out, err = run([str(found[0]), *arguments], environment, cwd=self.home)
        if code != 0:
            raise Failed(f"{arguments[0]}: {tail(out + err)}")
        return out + err

    def connect(self):
        self._run("mcp", "auth", "demo")
        return self._call()

    def refresh(self):
        if spoil(self.home) == 0:
            raise Failed("no access token was found where it keeps it")
        return self._call()

    def again(self):
        try:
            return self._call()
        except Failed:
            # A model that has no tool says nothing; the list of servers does.
            listed = [tail(line) for line in self._run("mcp", "list").splitlines() if "demo" in line]
            self.said, self.again_by = " ".join(listed[:1]), "`opencode mcp auth`"
        self._run("mcp", "auth", "demo")
        return self._call()

    def give_back(self):
        self._run("mcp", "logout", "demo")

    def _call(self):
        version = self._run("--version").split()[-1]
        with ScriptModel() as model:
            out = self._run("run", "Say it with the tool.", model=model.url)
        if TEXT not in out:
            raise Failed(f"no call: {tail(out)}")
        return {"version": version, "text": TEXT}


class ClaudeCode(Client):
    """Logs in by its command line, which wants a terminal, and calls tools if a model asks for it."""

    name, package, stage = "Claude Code", "npm @anthropic-ai/claude-code", "all"

    def _program(self):
        return str(next(pathlib.Path(self.places["claude"]).glob("node_modules/@anthropic-ai/claude-code-*/claude")))

    def _environment(self, model="http://127.0.0.1:9"):
        quiet = ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER", "DISABLE_ERROR_REPORTING")
        # Tools are offered to the model at once, not by a search: the script cannot search.
        tools = {"ENABLE_TOOL_SEARCH": "false", "MCP_CONNECTION_NONBLOCKING": "false"}
        account = {"ANTHROPIC_BASE_URL": model, "ANTHROPIC_API_KEY": "none"}
        return self.house.environment(self.home, **dict.fromkeys(quiet, "1"), **tools, **account)

    def _run(self, *arguments, model="http://127.0.0.1:9"):
        code, out, err = run([self._program(), *arguments], self._environment(model), limit=120, cwd=self.home)
        if code != 0:
            raise Failed(f"{' '.join(arguments[:2])}: {tail(out + err)}")
        return out

    def _login(self):
        code, text = run_in_terminal([self._program(), "mcp", "login", "demo"], self._environment(), cwd=self.home)
        if code != 0:
            raise Failed(f"mcp login: {tail(text)}")

    def connect(self):
        self._run("mcp", "add", "--transport", "http", "demo", self.house.url)
        self._login()
        return self._call()

    def refresh(self):
        file = self.home / ".claude" / ".credentials.json"
        kept = json.loads(file.read_text())
        for one in kept["mcpOAuth"].values():
            one["expiresAt"] = 1
        file.write_text(json.dumps(kept))
        return self._call()

    def again(self):
        try:
            return self._call()
        except Failed:
            listed = [tail(line) for line in self._run("mcp", "list").splitlines() if line.startswith("demo")]
            self.said, self.again_by = " ".join(listed[:1]), "`claude mcp login`"
        self._login()
        return self._call()

    def give_back(self):
        self._run("mcp", "logout", "demo")

    def _call(self):
        version = self._run("--version").split()[0]
        with ScriptModel() as model:
            out = self._run("-p", "Say it with the tool.", "--allowedTools", "mcp__demo__echo", model=model.url)
        if TEXT not in out:
            raise Failed(f"no call: {tail(out)}")
        return {"version": version, "text": TEXT}


class GeminiCli(Client):
    """The library under Gemini CLI, which signs in as its command `/mcp auth` does; its screen wants an account."""

    name, package, stage = "Gemini CLI, its library", "npm @google/gemini-cli-core", "all"

    def _step(self, word):
        command = [self.house.node, str(HERE / "oauth_gemini.mjs"), self.house.url, word]
        code, out, err = run(command, self.house.environment(self.home, NODE_PACKAGES=self.places["gemini"]), stdin="y\n", cwd=self.home)
        last = out.strip().splitlines()[-1:] or [""]
        if code != 0 or not last[0].startswith("{"):
            raise Failed(f"{word}: {tail(out + err)}")
        answer = json.loads(last[0])
        if "error" in answer:
            raise Failed(tail(answer["error"]))
        return answer

    def connect(self):
        return self._step("connect")

    def refresh(self):
        return self._step("refresh")

    def again(self):
        try:
            return self._step("again")
        except Failed as why:
            # It registers without any redirect URI (its provider of stored tokens has none), which RFC 7591 does not allow.
            self.said, self.again_by = str(why), "`/mcp auth`"
        return self._step("connect")


PROGRAMS = [Codex, OpenCode, ClaudeCode, GeminiCli]
