# SPDX-License-Identifier: Apache-2.0
"""A provider that is far away: a relay before any server that holds every octet back for so long, each way."""
import asyncio
import threading

import stage


class Distance:
    """Listens on `port`, passes all on to `to`, `one_way` seconds later. `trips` counts how often the near side spoke after the far side had:
    the round trips that it waited for, whatever the clock says."""

    def __init__(self, to, one_way=0.025):
        self.to, self.one_way, self.port = to, one_way, stage.free_port()
        self.trips, self.connections, self.loop = 0, 0, None

    def take(self):
        """The round trips since the last call."""
        trips, self.trips = self.trips, 0
        return trips

    async def carry(self, reader, writer, on_octets):
        """What comes goes on after its time, in order; the end, too."""
        loop, line = asyncio.get_running_loop(), asyncio.Queue()

        async def arrive():
            while True:
                due, octets = await line.get()
                await asyncio.sleep(max(0, due - loop.time()))
                if not octets:
                    break
                writer.write(octets)
                await writer.drain()
            writer.close()

        arriving = loop.create_task(arrive())
        octets = b"x"
        while octets:
            try:
                octets = await reader.read(65536)
            except ConnectionError:
                octets = b""
            if octets:
                on_octets()
            line.put_nowait((loop.time() + self.one_way, octets))
        try:
            await arriving
        except ConnectionError:
            pass

    async def serve(self, near_reader, near_writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to)
        self.connections += 1
        heard = True  # the far side was the last to speak

        def near():
            nonlocal heard
            self.trips += heard
            heard = False

        def far():
            nonlocal heard
            heard = True

        await asyncio.gather(self.carry(near_reader, far_writer, near), self.carry(far_reader, near_writer, far))

    def start(self):
        started = threading.Event()

        def run():
            self.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self.loop)
            self.server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", self.port, backlog=128))
            started.set()
            self.loop.run_forever()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        if not started.wait(10):
            raise RuntimeError("the relay did not start")
        return self

    def stop(self):
        if self.loop:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(5)
            self.loop = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
