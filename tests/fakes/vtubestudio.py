"""A stand-in for VTube Studio: a real WebSocket server with the documented flow of its public interface, written from its
description, on the package websockets. Its user clicks when the test says so."""
import asyncio
import json
import socket
import threading

import websockets

REQUESTS = {"APIStateRequest": "APIStateResponse", "AuthenticationTokenRequest": "AuthenticationTokenResponse",
            "AuthenticationRequest": "AuthenticationResponse", "ParameterCreationRequest": "ParameterCreationResponse",
            "InputParameterListRequest": "InputParameterListResponse",
            "InjectParameterDataRequest": "InjectParameterDataResponse"}
ITS_INPUTS = ("FacePositionX FacePositionY FacePositionZ FaceAngleX FaceAngleY FaceAngleZ MouthSmile MouthOpen Brows "
              "TongueOut EyeOpenLeft EyeOpenRight EyeLeftX EyeLeftY EyeRightX EyeRightY CheekPuff BrowLeftY BrowRightY "
              "MouthX FaceAngry MousePositionX MousePositionY VoiceFrequency VoiceVolume").split()


class VTubeStudio:
    """As a context manager. What it is told to do may be changed at any time."""

    def __init__(self, click="allow", active=True, unknown=(), taken=(), names_it=True, delay_s=0.0, port=0):
        self.click, self.active, self.unknown, self.taken = click, active, set(unknown), set(taken)
        self.names_it, self.delay_s = names_it, delay_s  # whether an error says which input it is about
        self.raw = None  # texts or bytes that are sent in the place of each answer
        self.requests, self.injected, self.values, self.added = [], [], {}, {}
        self.tokens, self.connections = set(), 0
        self.most_unanswered = 0
        self._port, self._links, self._answers, self._unanswered = port, set(), set(), 0
        self._ready = threading.Event()

    def __enter__(self):
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(30.0)
        return self

    def __exit__(self, *error):
        self._loop.call_soon_threadsafe(self._stop.set_result, None)
        self._thread.join(30.0)

    def asked(self, kind):
        return [request for request in list(self.requests) if request["messageType"] == kind]

    def revoke(self):
        """Its user takes the permission back."""
        self.tokens.clear()
        self._loop.call_soon_threadsafe(lambda: [setattr(link, "logged_in", False) for link in self._links])

    def drop(self):
        """All connections break off."""
        self._loop.call_soon_threadsafe(lambda: [link.transport.abort() for link in self._links])

    def pinged(self, count):
        """How many pings its plugin answered."""
        async def ping():
            link, answered = list(self._links)[0], 0
            try:
                for _ in range(count):
                    answered += await (await link.ping()) is not link
            except websockets.ConnectionClosed:
                pass
            return answered
        return asyncio.run_coroutine_threadsafe(ping(), self._loop).result(60.0)

    def broadcast(self, port, active=True):
        """Tell of itself, as every 2 s, to this machine alone."""
        text = {"apiName": "VTubeStudioPublicAPI", "apiVersion": "1.0", "timestamp": 1625405710728,
                "requestID": "VTSBroadcast", "messageType": "VTubeStudioAPIStateBroadcast",
                "data": {"active": active, "port": self.port, "instanceID": "93aa0d0494304fddb057d8a295c4ef59",
                         "windowTitle": "VTube Studio"}}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(json.dumps(text).encode(), ("127.0.0.1", port))

    def _serve(self):
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self):
        self._stop = self._loop.create_future()
        async with websockets.serve(self._talk, "127.0.0.1", self._port) as server:
            sockets = server.sockets if hasattr(server, "sockets") else server.server.sockets
            self.port = list(sockets)[0].getsockname()[1]
            self._ready.set()
            await self._stop
            for link in list(self._links):
                link.transport.abort()
            for task in self._answers:
                task.cancel()
            await asyncio.gather(*self._answers, return_exceptions=True)

    async def _talk(self, link, path=None):
        self.connections += 1
        link.logged_in = False
        self._links.add(link)
        try:
            async for text in link:
                self._unanswered += 1
                self.most_unanswered = max(self.most_unanswered, self._unanswered)
                task = asyncio.ensure_future(self._answer(link, json.loads(text)))
                self._answers.add(task)
                task.add_done_callback(self._answers.discard)
        except websockets.ConnectionClosed:
            pass
        finally:
            self._links.discard(link)

    async def _answer(self, link, request):
        self.requests.append(request)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if request["messageType"] == "AuthenticationTokenRequest":
            while self.click == "later":
                await asyncio.sleep(0.005)
        try:
            kind, data = REQUESTS[request["messageType"]], self._do(link, request["messageType"], request.get("data", {}))
        except Refused as e:
            kind, data = "APIError", {"errorID": e.args[0], "message": e.args[1]}
        answer = {"apiName": "VTubeStudioPublicAPI", "apiVersion": "1.0", "timestamp": 1625405710728,
                  "requestID": request["requestID"], "messageType": kind, "data": data, "unknownField": [1]}
        self._unanswered -= 1
        try:
            for text in [json.dumps(answer)] if self.raw is None else self.raw:
                await link.send(text)
        except websockets.ConnectionClosed:
            pass

    def _do(self, link, kind, data):
        if kind == "APIStateRequest":
            return {"active": self.active, "vTubeStudioVersion": "1.32.0", "currentSessionAuthenticated": link.logged_in}
        if not self.active:
            raise Refused(1, "API access is deactivated")
        if kind == "AuthenticationTokenRequest":
            return self._permit(data)
        if kind == "AuthenticationRequest":
            link.logged_in = data["authenticationToken"] in self.tokens and 3 <= len(data["pluginName"]) <= 32
            return {"authenticated": link.logged_in, "reason": "Token valid." if link.logged_in else "Token invalid."}
        if not link.logged_in:
            raise Refused(8, "This request requires authentication.")
        if kind == "ParameterCreationRequest":
            return self._add(data)
        if kind == "InputParameterListRequest":
            names = [name for name in ITS_INPUTS if name not in self.unknown]
            return {"modelLoaded": True, "modelName": "Akari", "modelID": "x",
                    "defaultParameters": [{"name": n} for n in names],
                    "customParameters": [{"name": n, "addedBy": "nanoface"} for n in self.added if n not in self.unknown]}
        return self._inject(data)

    def _permit(self, data):
        assert 3 <= len(data["pluginName"]) <= 32 and 3 <= len(data["pluginDeveloper"]) <= 32
        if self.click == "deny":
            raise Refused(50, "User has denied API access for your plugin.")
        if isinstance(self.click, int):
            raise Refused(self.click, "no")
        token = "{:064x}".format(len(self.requests))
        self.tokens.add(token)
        return {"authenticationToken": token}

    def _add(self, data):
        name = data["parameterName"]
        assert name.isalnum() and 4 <= len(name) <= 32 and len(data["explanation"]) < 256 and len(self.added) < 100
        assert -1e6 <= data["min"] < data["max"] <= 1e6
        if name in self.unknown:
            raise Refused(352, "no")
        self.added[name] = data
        return {"parameterName": name}

    def _inject(self, data):
        assert data["mode"] == "set" and isinstance(data["faceFound"], bool)
        if not data["parameterValues"]:
            raise Refused(450, "no data")
        for row in data["parameterValues"]:
            if row["id"] in self.unknown or row["id"] not in ITS_INPUTS and row["id"] not in self.added:
                raise Refused(453, "Parameter {} not found.".format(row["id"] if self.names_it else "that you sent"))
            if row["id"] in self.taken:
                raise Refused(454, "Parameter '{}' is driven by another plugin".format(row["id"] if self.names_it else "it"))
            assert -1e6 <= row["value"] <= 1e6
        self.values.update((row["id"], row["value"]) for row in data["parameterValues"])
        self.injected.append(data)
        return {}


class Refused(Exception):
    """errorID and message."""
