"""Programs that JouleHub is tested with and that speak HTTP: Node-RED with its OPC UA nodes, and FUXA."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from foreign import until
from tests.ports import free_port

HEAVY = Path(__file__).parent / "heavy"
START_S = 90.0
ANSWER_S = 20.0
PAUSE_S = 0.25
ENDPOINT, CLIENT, BROWSER = "endpoint", "client", "browser"


def require_heavy(package: str) -> None:
    """Skip, by name and with the remedy, where a program is not installed."""
    if shutil.which("node") is None:
        pytest.skip(f"{package} needs Node.js; on Debian: apt-get install nodejs npm")
    if not (HEAVY / "node_modules" / package).is_dir():
        pytest.skip(f"{package} is not installed; run `make test`, or `npm install` in tests/interop/heavy")


class WebProgram:
    """A Node.js program in a process of its own that answers HTTP on `port`."""

    def __init__(self, arguments: Sequence[str], folder: Path, port: int, ready: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "program.log"
        self._out = self.log.open("wb")
        self._process = subprocess.Popen(
            ["node", *arguments],
            cwd=folder,
            env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=subprocess.STDOUT,
        )
        try:
            until(lambda: self._answers(ready), START_S, f"{arguments[0]} answers")
        except AssertionError:
            self.stop()
            raise

    def ask(self, path: str, body: Any = None) -> Any:
        """Answer of a GET, or of a POST where there is a body; JSON, or None where it is empty."""
        data = json.dumps(body).encode() if body is not None else None
        request = Request(self.url + path, data, {"Content-Type": "application/json"})  # noqa: S310
        with urlopen(request, timeout=ANSWER_S) as response:  # noqa: S310  # loopback
            text = response.read()
        return json.loads(text) if text else None

    def pause(self) -> None:
        """Give the program a moment; FUXA refuses clients that ask too often."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PAUSE_S)

    def stop(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._out.close()

    def _answers(self, path: str) -> bool:
        assert self._process.poll() is None, f"it ended:\n{self.log.read_text(errors='replace')[-2000:]}"
        try:
            self.ask(path)
        except (HTTPError, URLError, ConnectionError, TimeoutError):
            self.pause()
            return False
        return True


class NodeRed(WebProgram):
    """Node-RED with three HTTP doors to its OPC UA nodes: /client, /browser and /seen (what a subscription sent)."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        (folder / "flows.json").write_text(json.dumps(_flow(endpoint)))
        (folder / "settings.js").write_text(
            f"module.exports = {{ uiPort: {port}, uiHost: '127.0.0.1', httpAdminRoot: false, flowFile: 'flows.json',"
            f" nodesDir: [{json.dumps(str(HEAVY / 'node_modules' / 'node-red-contrib-opcua'))}],"
            " functionExternalModules: false, externalModules: { autoInstall: false },"
            " logging: { console: { level: 'info' } }, telemetry: { enabled: false } };"
        )
        (folder / "package.json").write_text('{"name": "flows", "private": true, "version": "0.0.1"}')
        program = HEAVY / "node_modules" / "node-red" / "red.js"
        super().__init__([str(program), "-u", str(folder), "-s", str(folder / "settings.js")], folder, port, "/seen")

    def client(self, action: str, topic: str, **more: Any) -> Any:
        """One message through the OPC UA client node; returns what comes out of it."""
        return self.ask("/client", {"action": action, "topic": topic, **more})

    def subscribe(self, topic: str, interval_ms: int) -> None:
        """Let the OPC UA client node monitor a value."""
        self.ask("/subscribe", {"action": "subscribe", "topic": topic, "interval": interval_ms})

    def browse(self, node: str) -> list[dict[str, Any]]:
        """Children of a node, through the OPC UA browser node."""
        return [one["item"] for one in self.ask("/browser", {"topic": node})]

    def seen(self) -> list[dict[str, Any]]:
        """What subscriptions have sent so far."""
        self.pause()
        found: list[dict[str, Any]] = self.ask("/seen")
        return found


class Fuxa(WebProgram):
    """FUXA with one OPC UA device."""

    def __init__(self, folder: Path, endpoint: str, tags: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        program = HEAVY / "node_modules" / "@frangoteam" / "fuxa" / "main.js"
        super().__init__([str(program), "--port", str(port), "--userDir", str(folder)], folder, port, "/api/settings")
        device = {
            "id": "hub",
            "name": "hub",
            "type": "OPCUA",
            "enabled": True,
            "polling": 1000,
            "property": {"address": endpoint},
            "tags": {tag: {"id": tag, "name": tag, "address": tag, "type": "Double"} for tag in tags},
        }
        self.ask("/api/projectData", {"cmd": "set-device", "data": device})

    def values(self, tags: Sequence[str]) -> dict[str, Any]:
        """Present values of tags as FUXA shows them; None where it has none."""
        self.pause()
        found = self.ask(f"/api/getTagValue?ids={quote(json.dumps(list(tags)))}")
        return {one["id"]: one.get("value") for one in found}


def _flow(endpoint: str) -> list[dict[str, Any]]:
    """Doors in and out of the OPC UA nodes; the answer finds its request in msg.res, which the nodes pass on."""
    shared = {"z": "tab"}
    listen = (
        "const s = global.get('seen') || [];"
        "s.push({topic: msg.topic, payload: msg.payload, status: String(msg.statusCode)});"
        "global.set('seen', s); return null;"
    )
    return [
        {"id": "tab", "type": "tab", "label": "JouleHub", "disabled": False},
        {
            "id": ENDPOINT,
            "type": "OpcUa-Endpoint",
            "endpoint": endpoint,
            "secpol": "None",
            "secmode": "None",
            "none": True,
            "login": False,
        },
        {**shared, "id": "in", "type": "http in", "url": "/client", "method": "post", "wires": [["open"]]},
        {**shared, "id": "open", "type": "function", "func": _OPEN, "outputs": 1, "wires": [[CLIENT]]},
        {
            **shared,
            "id": CLIENT,
            "type": "OpcUa-Client",
            "endpoint": ENDPOINT,
            "action": "read",
            "deadbandtype": "a",
            "deadbandvalue": 1,
            "time": 1,
            "timeUnit": "s",
            "certificate": "n",
            "useTransport": False,
            "setstatusandtime": False,
            "keepsessionalive": True,
            "name": "hub",
            "wires": [["close"], [], []],
        },
        {**shared, "id": "close", "type": "function", "func": _CLOSE, "outputs": 2, "wires": [["out"], ["heard"]]},
        {**shared, "id": "follow", "type": "http in", "url": "/subscribe", "method": "post", "wires": [["begin"]]},
        {**shared, "id": "begin", "type": "function", "func": _BEGIN, "outputs": 2, "wires": [["out"], [CLIENT]]},
        {**shared, "id": "out", "type": "http response", "statusCode": "", "headers": {}, "wires": []},
        {**shared, "id": "heard", "type": "function", "func": listen, "outputs": 1, "wires": [[]]},
        {**shared, "id": "look", "type": "http in", "url": "/browser", "method": "post", "wires": [["name"]]},
        {**shared, "id": "name", "type": "function", "func": _OPEN, "outputs": 1, "wires": [[BROWSER]]},
        {
            **shared,
            "id": BROWSER,
            "type": "OpcUa-Browser",
            "endpoint": ENDPOINT,
            "item": "",
            "datatype": "",
            "topic": "",
            "items": [],
            "wires": [["out"]],
        },
        {**shared, "id": "ask", "type": "http in", "url": "/seen", "method": "get", "wires": [["tell"]]},
        {
            **shared,
            "id": "tell",
            "type": "function",
            "func": "msg.payload = global.get('seen') || []; return msg;",
            "outputs": 1,
            "wires": [["out"]],
        },
    ]


_OPEN = "const body = msg.payload; delete msg.payload; Object.assign(msg, body); return msg;"
_BEGIN = "const body = msg.payload; msg.payload = {}; return [msg, body];"
_CLOSE = (
    "if (!msg.res || msg.answered) return [null, msg]; msg.answered = true;"
    "msg.payload = {payload: msg.payload, status: String(msg.statusCode)}; return [msg, null];"
)
