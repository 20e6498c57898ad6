# SPDX-License-Identifier: Apache-2.0
"""A network of the test's own, with addresses that answer, and real black holes: what is sent there is taken and nothing ever comes back.

    with blackhole.Network(addresses=["10.9.0.1"], holes=["10.9.1.2", "fd00:9:1::2"]): ...

Who enters, and the threads and processes that it starts meanwhile, see that network and no other. Root only: `blackhole.WHY_NOT` says why it cannot be, or is None.
"""
import ctypes
import ipaddress
import os
import shutil
import subprocess

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def why_not():
    if os.geteuid() != 0:
        return "black holes need a network namespace, which needs root"
    if not shutil.which("ip"):
        return "black holes need `ip` of iproute2"
    done = subprocess.run(["unshare", "-n", "sh", "-c", "ip link set lo up && ip link add hole0 type veth peer name hole1"], capture_output=True, text=True)
    return None if done.returncode == 0 else f"no network namespace can be made here: {done.stderr.strip()}"


WHY_NOT = why_not()


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    def __init__(self, addresses=(), holes=()):
        self.addresses, self.holes = addresses, holes

    def __enter__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def build(self):
        ip("link", "set", "lo", "up")
        # What goes into one end comes out at the other, for a station that is not there.
        ip("link", "add", "hole0", "address", "02:00:00:00:00:01", "type", "veth", "peer", "name", "hole1")
        for end in ("hole0", "hole1"):
            ip("link", "set", end, "up")
        ip("addr", "add", "192.0.2.1/32", "dev", "hole0")
        ip("-6", "addr", "add", "2001:db8::1/128", "dev", "hole0", "nodad")
        for a in self.addresses:
            ip("addr", "add", a, "dev", "lo", *(["nodad"] if ":" in a else []))
        for a in self.holes:
            ip("route", "add", f"{a}/{ipaddress.ip_address(a).max_prefixlen}", "dev", "hole0")
            ip("neigh", "add", a, "lladdr", "02:00:00:00:00:99", "dev", "hole0", "nud", "permanent")

    def __exit__(self, *_):
        libc.setns(self.home, CLONE_NEWNET)
        os.close(self.home)
