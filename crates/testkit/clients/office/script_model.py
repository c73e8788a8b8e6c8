"""A model that speaks from a script, for programs that call tools only if a model asks for it. It asks once for the tool whose name ends in
`echo`, then repeats what the tool said. Speaks the streams of OpenAI's chat completions and of Anthropic's messages, on a port of loopback.
"""

import http.server
import json
import threading

TEXT = "through the front office"


def tool_of(body):
    """The name under which a program offers the tool, if it does."""
    for tool in body.get("tools") or []:
        name = tool.get("name") or tool.get("function", {}).get("name", "")
        if name.endswith("echo") and name != "echo":
            return name
    return None


def result_of(body):
    """What the tool said, if it was called."""
    for message in reversed(body.get("messages", [])):
        if message.get("role") == "tool":
            return json.dumps(message.get("content"))
        content = message.get("content")
        for part in content if isinstance(content, list) else []:
            if part.get("type") == "tool_result":
                return json.dumps(part.get("content"))
    return None


def completion(body):
    """Chunks of a chat completion."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body.get("model", "one")}
    result, tool = result_of(body), tool_of(body)
    if result is None and tool:
        function = {"name": tool, "arguments": json.dumps({"text": TEXT})}
        delta, end = {"role": "assistant", "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}, "tool_calls"
    else:
        delta, end = {"role": "assistant", "content": f"The tool says: {result}"}, "stop"
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    yield None, {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield None, {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": end}], "usage": usage}


def message(body):
    """Events of a message."""
    result, tool = result_of(body), tool_of(body)
    start = {"id": "m", "type": "message", "role": "assistant", "model": body.get("model", "one"), "content": [], "stop_reason": None,
             "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    yield "message_start", {"type": "message_start", "message": start}
    if result is None and tool:
        block, end = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": {}}, "tool_use"
        delta = {"type": "input_json_delta", "partial_json": json.dumps({"text": TEXT})}
    else:
        block, end = {"type": "text", "text": ""}, "end_turn"
        delta = {"type": "text_delta", "text": f"The tool says: {result}"}
    yield "content_block_start", {"type": "content_block_start", "index": 0, "content_block": block}
    yield "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}
    yield "content_block_stop", {"type": "content_block_stop", "index": 0}
    yield "message_delta", {"type": "message_delta", "delta": {"stop_reason": end, "stop_sequence": None}, "usage": {"output_tokens": 1}}
    yield "message_stop", {"type": "message_stop"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        path = self.path.split("?")[0]
        if path.endswith("/count_tokens"):
            return self.answer("application/json", json.dumps({"input_tokens": 1}))
        if not path.endswith(("/messages", "/completions")):
            return self.send_error(404)
        events = list((message if path.endswith("/messages") else completion)(body))
        text = "".join(f"{f'event: {name}{chr(10)}' if name else ''}data: {json.dumps(event)}\n\n" for name, event in events)
        return self.answer("text/event-stream", text + ("" if path.endswith("/messages") else "data: [DONE]\n\n"))

    def do_GET(self):
        self.answer("application/json", json.dumps({"data": []}))

    do_HEAD = do_GET

    def answer(self, media, text):
        content = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


class ScriptModel:
    """Runs as long as its block; `url` is its address."""

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
