# SPDX-License-Identifier: Apache-2.0
"""Every dialogue in tests/dialog/, replayed whole, octet by octet, and pipelined: the same replies, the same octets upstream, the same log."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import dialog  # noqa: E402

DIALOGUES = dialog.all_dialogues()


class Stages:
    """A daemon for each configuration that the dialogues ask for, started when the first one does."""

    def __init__(self, folder):
        self.folder, self.rigs, self.players = folder, {}, {}

    def of(self, d):
        key = repr(sorted((s, sorted(k.items())) for s, k in d.settings.items()))
        if key not in self.rigs:
            same = [o for o in DIALOGUES if o.settings == d.settings]
            for o in same:
                self.players[o.name] = dialog.Player().start()
            ports = {o.name: self.players[o.name].port for o in same}
            self.rigs[key] = dialog.Rig(
                self.folder / f"rig{len(self.rigs)}", settings=d.settings, directory=dialog.directory(same, ports),
                upstream_ports=sorted(ports.values()))
            self.rigs[key].start()
        return self.rigs[key], self.players[d.name]

    def stop(self):
        problems = []
        for p in self.players.values():
            p.stop()
        for r in self.rigs.values():
            try:
                r.stop()
            except AssertionError as e:
                problems.append(str(e))
        assert not problems, "\n".join(problems)


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    s = Stages(tmp_path_factory.mktemp("dialog"))
    try:
        yield s
    finally:
        s.stop()


@pytest.mark.parametrize("d", DIALOGUES, ids=lambda d: d.name)
def test_dialogue(stages, d):
    rig, player = stages.of(d)
    rows = {}
    for mode in d.modes:
        rows[mode] = dialog.Replay(d, rig, player).run(mode)
    for mode in d.modes[1:]:
        assert rows[mode] == rows[d.modes[0]], f"{d.name}: the log of {mode} is not that of {d.modes[0]}"


def test_there_are_enough():
    assert len(DIALOGUES) >= 60
