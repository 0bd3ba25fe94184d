"""python-socketio as a peer, of either generation: `server`, or `client URL TRANSPORTS`. It runs in an environment of its own,
and prints a line of JSON for each thing that happens."""
import asyncio
import json
import sys

import socketio
from aiohttp import web


def say(what, data=None):
    print(json.dumps([what, data]), flush=True)


async def until_input_ends():
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def serve():
    server = socketio.AsyncServer(async_mode="aiohttp", ping_interval=1, ping_timeout=5)

    async def received(sid, data):
        say("result_data", data)
        await server.emit("result_download", data, namespace="/kizuna", skip_sid=sid)

    async def told(sid, data):
        say("nanoface_event", data)

    async def joined(sid, environ, auth=None):
        say("joined")

    async def left(sid, reason=None):
        say("left")

    for name, handler in (("connect", joined), ("disconnect", left), ("result_data", received), ("nanoface_event", told)):
        server.on(name, handler, namespace="/kizuna")
    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    say("port", runner.addresses[0][1])
    await until_input_ends()


async def connect(url, transports):
    client = socketio.AsyncClient(reconnection_delay=0.1)

    async def joined():
        say("joined", client.eio.transport() if callable(client.eio.transport) else client.eio.transport)

    async def left(reason=None):
        say("left")

    async def received(data):
        say("result_download", data)

    async def told(data):
        say("nanoface_event", data)

    for name, handler in (("connect", joined), ("disconnect", left), ("result_download", received), ("nanoface_event", told)):
        client.on(name, handler, namespace="/kizuna")
    try:
        await client.connect(url, namespaces=["/kizuna"], transports=transports.split(","))
    except socketio.exceptions.ConnectionError as e:
        say("refused", str(e))
        return
    await until_input_ends()
    await client.disconnect()


def wait_for_coroutines():
    """As asyncio.wait() did before Python 3.11: python-socketio 4.6 relies on it."""
    wait = asyncio.wait
    asyncio.wait = lambda some, **limits: wait([asyncio.ensure_future(one) for one in some], **limits)


if __name__ == "__main__":
    wait_for_coroutines()
    asyncio.run(serve() if sys.argv[1] == "server" else connect(*sys.argv[2:]))
