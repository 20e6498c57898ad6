# SPDX-License-Identifier: Apache-2.0
"""What README and docs/ tell people to type works as it is printed, on a machine of its own (namespaces), from `make install` to a delivered message."""
import os
import shutil
import subprocess

import pytest

import newcomer
import stage

# The machine: its own /etc, /usr/local, /var/lib, /var/log, /run and ports. sudo and systemctl are stand-ins: root runs this, and nothing here is a service manager.
MACHINE = r"""
set -e
ip link set lo up
for d in etc usr/local var/lib var/log run; do mkdir -p "$AT/$d"; done
cp -a /etc/. "$AT/etc/"
cp -a /usr/local/. "$AT/usr/local/" 2>/dev/null || true
for d in /var/lib/*; do [ ! -d "$d" ] || [ "$d" = /var/lib/byway ] || { mkdir "$AT$d"; mount --bind "$d" "$AT$d"; }; done
for d in etc usr/local var/lib var/log run; do mount --rbind "$AT/$d" "/$d"; done
mkdir -p "$AT/bin" "$AT/home"
printf '#!/bin/sh\nexec "$@"\n' > "$AT/bin/sudo"
cat > "$AT/bin/systemctl" <<'EOF'
#!/bin/sh
case $1 in
daemon-reload) ;;
enable) mkdir -p /run/byway && chown byway: /run/byway
	setsid /usr/local/sbin/bywayd -c /etc/byway/byway.ini >"$AT/bywayd.log" 2>&1 &
	for i in $(seq 600); do byway status >/dev/null 2>&1 && exit 0; sleep 0.1; done
	cat "$AT/bywayd.log"; exit 1 ;;
esac
EOF
chmod 755 "$AT/bin/sudo" "$AT/bin/systemctl"
cd "$BYWAY_SOURCES"
git ls-files -z | xargs -0 cp -a --parents -t "$AT/home"
for d in .deps build/node build/release; do if [ -e $d ]; then cp -a --parents $d "$AT/home"; fi; done
cd "$AT/home"
for f in secret api.key client.secret; do printf secret > $f; done
export PATH="$AT/bin:/usr/local/sbin:/usr/local/bin:$PATH" HOME="$AT/home"
exec /usr/bin/python3 "$TYPIST" "$SECONDS_EACH"
"""


def may_make_a_machine():
    return os.geteuid() == 0 and shutil.which("unshare") and shutil.which("ip") and subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not may_make_a_machine(), reason="only root with unshare and ip can make a machine of its own")
def test_what_documents_tell_people_to_type(folder):
    at = folder / "machine"
    at.mkdir()
    environment = {**os.environ, "AT": str(at), "TYPIST": newcomer.__file__, "SECONDS_EACH": str(300 * stage.SLOW), "BYWAY_SOURCES": str(stage.ROOT)}
    done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", MACHINE],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=environment)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout
    ran, left = [x for x in lines if x.startswith("ran ")], [x for x in lines if x.startswith("left ")]
    assert any("swaks" in x for x in ran) and len(ran) >= 15, done.stdout
    # Each thing that is left out says why; a new one is a decision.
    assert len(left) <= 13, left


def test_blocks_are_found_and_marks_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(newcomer, "ROOT", tmp_path)
    (tmp_path / "a.md").write_text("text\n\n    byway status\n    byway reload\n\n<!-- not run: a picture -->\n\n    make x\n\nwords\n\n    make y\n    other z\n")
    assert newcomer.blocks("a.md") == [(3, ["byway status", "byway reload"], None), (8, ["make x"], "a picture"), (12, ["make y"], None)]
