"""Drives the CLI of npm `@modelcontextprotocol/inspector`: URL KEY_FILE ERA TOOL ARGUMENTS -> one JSON line.

INSPECTOR is its launcher, NODE the Node to run it with. The key reaches it through its configuration file, never through the process list.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile


def run(folder, *arguments):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": folder,
        "MCP_STORAGE_DIR": folder,
        "MCP_INSPECTOR_SECRET_STORE": "file",
        "MCP_AUTO_OPEN_ENABLED": "false",
    }
    command = [os.environ["NODE"], os.environ["INSPECTOR"], "--cli", "--config", f"{folder}/c.json", "--server", "s", "--format", "json", *arguments]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=40)
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {(done.stderr or done.stdout).strip()[-250:]}")
    return json.loads(done.stdout)


def drive(url, key_file, era, tool, arguments):
    server = {"type": "streamable-http", "url": url, "protocolEra": era}
    if key_file != "-":
        server["headers"] = {"Authorization": "Bearer " + pathlib.Path(key_file).read_text().strip()}
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "c.json")
        config.touch(mode=0o600)
        config.write_text(json.dumps({"mcpServers": {"s": server}}))
        listed = run(folder, "--method", "tools/list")
        given = [part for name, value in arguments.items() for part in ("--tool-arg", f"{name}={value if isinstance(value, str) else json.dumps(value)}")]
        called = run(folder, "--method", "tools/call", "--tool-name", tool, *given)
    result = called.get("result", called)
    return len(listed.get("result", listed)["tools"]), not result.get("isError"), None


def main():
    url, key_file, era, tool, arguments = sys.argv[1:6]
    report = {"client": "inspector", "era": era, "tools": 0, "ok": False, "error": None}
    try:
        report["tools"], report["ok"], report["error"] = drive(url, key_file, era, tool, json.loads(arguments))
    except Exception as error:
        report["error"] = f"{type(error).__name__}: {error}"[:300]
    print(json.dumps(report))
    return 0 if report["ok"] else 1


sys.exit(main())
