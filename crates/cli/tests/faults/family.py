"""A stdio server of both eras that does what its tools are called."""
import json, os, sys, tempfile, threading

KEPT, LOCK = [], threading.Lock()
TOOLS = ["remember", "recall", "look", "hang", "die", "garbage", "twice", "flood", "half", "deaf", "hanging"]
HANGING = []
PLACES = [".", os.environ.get("HOME", "."), tempfile.gettempdir()]


def write(text):
    with LOCK:
        sys.stdout.write(text)
        sys.stdout.flush()


def say(ident, result):
    write(json.dumps({"jsonrpc": "2.0", "id": ident, "result": {"resultType": "complete", **result}}) + "\n")


def text(words):
    return {"content": [{"type": "text", "text": words}]}


def look():
    def read(path):
        try:
            return open(path, "rb").read().decode("utf-8", "replace")
        except OSError as error:
            return str(error)

    opened = [name for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)]
    # Backwards: what it was given as a secret would be screened in its reply, and it is to be seen.
    return {
        "env": {name: value[::-1] for name, value in os.environ.items()}, "fds": sorted(opened), "cwd": os.getcwd(), "tmp": tempfile.gettempdir(), "pid": os.getpid(),
        "parent": read(f"/proc/{os.getppid()}/cmdline"), "argv": read("/proc/self/cmdline"), "umask": os.umask(0o77),
    }


def call(ident, name, arguments):
    if name == "remember":
        KEPT.append(arguments["word"])
        for place in PLACES:
            with open(os.path.join(place, "kept"), "a") as file:
                file.write(arguments["word"])
        say(ident, text("kept"))
    elif name == "recall":
        found = list(KEPT)
        for place in PLACES:
            path = os.path.join(place, "kept")
            found += [open(path).read()] if os.path.exists(path) else []
        say(ident, text(" ".join(found)))
    elif name == "look":
        say(ident, text(json.dumps(look())))
    elif name == "die":
        os._exit(3)
    elif name == "half":
        write('{"jsonrpc":"2.0","id":' + json.dumps(ident) + ',"result":{"content":[')
        os._exit(4)
    elif name == "garbage":
        write("this is no JSON\n[]\n{}\n" + json.dumps({"jsonrpc": "2.0", "id": 987654, "result": {}}) + "\n")
        say(ident, text("after garbage"))
    elif name == "twice":
        say(ident, text("once"))
        say(ident, text("again"))
    elif name == "flood":
        for _ in range(20000):
            write('{"jsonrpc":"2.0","method":"notifications/x","params":{}}\n')
            sys.stderr.write("noise " * 20 + "\n")
        say(ident, text("after the flood"))
    elif name == "hang":
        HANGING.append(ident)
    elif name == "hanging":
        say(ident, text(str(len(HANGING))))
    elif name == "deaf":
        threading.Event().wait()


for line in sys.stdin:
    message = json.loads(line)
    method, ident = message.get("method"), message.get("id")
    if ident is None:
        continue
    if method == "initialize":
        info = {"name": "family", "version": "1"}
        say(ident, {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info})
    elif method == "tools/list":
        tool = {"inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
        say(ident, {"tools": [{"name": name, **tool} for name in TOOLS], "ttlMs": 0, "cacheScope": "private"})
    elif method == "tools/call":
        call(ident, message["params"]["name"], message["params"].get("arguments") or {})
    elif method == "ping":
        say(ident, {})
    elif method == "server/discover":
        say(ident, {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"})
    else:
        error = {"code": -32601, "message": "no such method"}
        write(json.dumps({"jsonrpc": "2.0", "id": ident, "error": error}) + "\n")
