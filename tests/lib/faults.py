# SPDX-License-Identifier: Apache-2.0
"""The other side of tests/torture/fault.c: makes the n-th call of a kind fail in a worker of bywayd-faults."""
import mmap
import struct

KINDS = {"alloc": 1, "read": 2, "write": 3, "sqlite": 4}
WAYS = {"fail": 0, "short": 1, "eintr": 2, "eagain": 3, "reset": 4}
# struct board: pid, kind, way, fired; at; seen[]
HEAD, SEEN = struct.Struct("=IIIIQ"), struct.Struct("=5Q")


class Faults:
    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(4096))
        self.file = open(path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), 4096)

    def count(self, pid):
        """From now on calls are counted and none fails."""
        self.map[:HEAD.size + SEEN.size] = bytes(HEAD.size + SEEN.size)
        self.map[:4] = struct.pack("=I", pid)

    def arm(self, pid, kind, way, n):
        """The N-th call of KIND in process PID from now on fails in this WAY."""
        self.map[:4] = bytes(4)
        self.map[:HEAD.size + SEEN.size] = HEAD.pack(0, KINDS[kind], WAYS[way], 0, n) + bytes(SEEN.size)
        self.map[:4] = struct.pack("=I", pid)

    def calm(self):
        """Nothing fails any more; whether anything did."""
        self.map[:4] = bytes(4)
        return bool(HEAD.unpack(self.map[:HEAD.size])[3])

    def seen(self, kind):
        return SEEN.unpack(self.map[HEAD.size:HEAD.size + SEEN.size])[KINDS[kind]]

    def close(self):
        self.map.close()
        self.file.close()
