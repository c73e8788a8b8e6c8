"""Both auditors on the same things; scripts/side-by-side runs it. Writes a table in Markdown to standard output.

Tool texts: the definitions of side_by_side.json, served over HTTP for `doorward scan --probe`, as a file for `mcp-scanner static`.
Servers: every server of doorward-flawed, asked by `doorward scan --probe` with its token and by the protocol analyser of mcp-scanner.
Configurations: a file with a token and a command that leaves a mark. mcp-scanner runs without a network and with the yara analyser alone.
"""

import asyncio, json, os, subprocess, sys, tempfile, threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DOORWARD, FLAWED, VERSION = sys.argv[1], sys.argv[2], sys.argv[3]
SCANNER = str(Path(sys.executable).parent / "mcp-scanner")
CASES = json.loads((Path(__file__).parent / "side_by_side.json").read_text())
for case in CASES:
    case["tool"].setdefault("inputSchema", {"type": "object"})
OFFLINE = ["unshare", "--net"] if subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL).returncode == 0 else []
if not OFFLINE:
    print("mcp-scanner is not kept from the network here: no namespace can be made", file=sys.stderr)


class Tools(BaseHTTPRequestHandler):
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        if message.get("method") == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "texts", "version": "1"}}
        elif message.get("method") == "tools/list":
            result = {"tools": [case["tool"] for case in CASES]}
        else:
            result = None
        body = b"" if "id" not in message else json.dumps(
            {"jsonrpc": "2.0", "id": message["id"], **({"result": result} if result else {"error": {"code": -32601, "message": "no"}})}
        ).encode()
        self.send_response(202 if not body else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def doorward(*arguments):
    done = subprocess.run([DOORWARD, "scan", "--json", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={"HOME": os.environ["HOME"], "PATH": os.environ["PATH"], "TOKEN": "own-token-of-the-testkit"})
    return json.loads(done.stdout)["findings"]


def scanner(*arguments):
    done = subprocess.run([*OFFLINE, SCANNER, "--analyzers", "yara", "--format", "raw", *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    return json.loads(done.stdout[done.stdout.index("{"):])["scan_results"]


def texts(scratch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tools)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/mcp"
    ours = {}
    for finding in doorward("--probe", url, "--yes-probe"):
        if finding["id"] in ("DW201", "DW203"):
            for case in CASES:
                if finding["subject"].split()[-1] == case["tool"]["name"]:
                    ours.setdefault(case["tool"]["name"], finding["id"])
    server.shutdown()
    file = scratch / "tools.json"
    file.write_text(json.dumps({"tools": [case["tool"] for case in CASES]}))
    theirs = {one["tool_name"]: ", ".join(sorted({name for found in one["findings"].values() for name in found["threat_names"]})).lower()
              for one in scanner("static", "--tools", str(file)) if not one["is_safe"]}
    print("| tool text | wrong | doorward | mcp-scanner |\n|---|---|---|---|")
    for case in CASES:
        name = case["tool"]["name"]
        print(f"| {case['about']} | {'yes' if case['bad'] else 'no'} | {ours.get(name, '')} | {theirs.get(name, '')} |")
    def tally(found):
        bad = [case["tool"]["name"] for case in CASES if case["bad"]]
        return f"{sum(name in found for name in bad)} of {len(bad)}, {sum(case['tool']['name'] in found for case in CASES if not case['bad'])} wrongly"
    print(f"| **found** | | {tally(ours)} | {tally(theirs)} |\n")


def servers():
    from mcpscanner.core.analyzers.protocol_analyzer import ProtocolAnalyzer
    flawed = subprocess.Popen([FLAWED], stdout=subprocess.PIPE, text=True)
    listed = []
    for line in flawed.stdout:
        if line.strip() == "ready":
            break
        listed.append(line.split())
    def theirs(url):
        found = asyncio.run(ProtocolAnalyzer(timeout=5).analyze(url))
        return sorted({f"{one.details['check_id']} {one.severity.lower()}" for one in found})
    with ThreadPoolExecutor(2) as pool:
        ours = list(pool.map(lambda one: sorted({finding["id"] for finding in doorward(
            "--probe", one[1], "--yes-probe", "--probe-token", "env:TOKEN", "--probe-samples", "16", "--probe-user", "own")}), listed))
    asked = [theirs(url) for _, url in listed]
    flawed.kill()
    print("| server | doorward | mcp-scanner |\n|---|---|---|")
    for (name, _), one, other in zip(listed, ours, asked):
        print(f"| {name} | {', '.join(one)} | {', '.join(other)} |")
    print()


def files(scratch):
    mark = scratch / "mark"
    file = scratch / "mcp.json"
    # Of the shape of a token; it belongs to nobody.
    token = "ghp_" + "Zq7Wx3Ke9Rt2Yu6Ip4Ls8Dh5Gj1Mn0Vb" + "Zq7W"
    file.write_text(json.dumps({"mcpServers": {"a": {"command": "touch", "args": [str(mark)], "env": {"GITHUB_TOKEN": token}},
                                               "b": {"command": "npx", "args": ["-y", "some-mcp@latest"]}, "c": {"url": "http://tools.internal/mcp"}}}))
    ours = sorted({finding["id"] for finding in doorward(str(file))})
    ran_ours = mark.exists()
    theirs = scanner("config", "--config-path", str(file))
    print("| a configuration with a token, a program without a version, plain HTTP | doorward | mcp-scanner |\n|---|---|---|")
    print(f"| found | {', '.join(ours)} | {len([one for one in theirs if not one.get('is_safe', True)])} findings |")
    print(f"| the commands in it were run | {'yes' if ran_ours else 'no'} | {'yes' if mark.exists() else 'no'} |\n")


os.environ["MCP_SCANNER_STDIO_TIMEOUT"] = "5"
print(f"Against cisco-ai-mcp-scanner {VERSION}.\n")
with tempfile.TemporaryDirectory() as directory:
    print("### Tool texts\n")
    texts(Path(directory))
    print("### Servers\n")
    servers()
    print("### Configurations\n")
    files(Path(directory))
