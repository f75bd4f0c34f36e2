"""What the benches measure of a server: CPU seconds and memory of its whole process tree."""
import os
import re
import threading

TICK = os.sysconf("SC_CLK_TCK")


def tree(roots):
    kids = {}
    for p in os.listdir("/proc"):
        if p.isdigit():
            try:
                with open(f"/proc/{p}/stat") as f:
                    kids.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(p))
            except OSError:
                pass
    out, todo = [], list(roots)
    while todo:
        p = todo.pop()
        out.append(p)
        todo += kids.get(p, [])
    return out


def cpu(roots):
    """Seconds, reaped children included."""
    ticks = 0
    for p in tree(roots):
        try:
            with open(f"/proc/{p}/stat") as f:
                ticks += sum(map(int, f.read().rsplit(")", 1)[1].split()[11:15]))
        except OSError:
            pass
    return ticks / TICK


def pss(roots, without=()):
    """KB: what is shared counts in parts."""
    kb = 0
    for p in tree(roots):
        if p in without:
            continue
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                kb += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
        except (OSError, AttributeError):
            pass
    return kb


class PeakMemory:
    """The highest of samples, four a second, of what is below `root`."""

    def __init__(self, root):
        self.kb, self._root, self._end = 0, root, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self):
        while True:
            self.kb = max(self.kb, pss([self._root], [self._root]))
            if self._end.wait(0.25):
                return

    def stop(self):
        self._end.set()
        self._thread.join()
        return self.kb
