"""What the benches measure of a server: CPU seconds and memory of its whole process tree."""
import os
import pathlib
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


def pss_of(pid, kinds=("Pss",)):
    """KB: what is shared counts in parts; 0 for a process that is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            text = f.read()
        return sum(int(re.search(rf"^{kind}:\s+(\d+)", text, re.M).group(1)) for kind in kinds)
    except (OSError, AttributeError):
        return 0


def pss(roots, without=()):
    return sum(pss_of(p) for p in tree(roots) if p not in without)


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


class Group:
    """A control group for one server, where the system lets us make one: its CPU seconds are exact, whoever was reaped and by whom. Else those of the tree."""

    def __init__(self, name):
        self.root, self.path = None, None
        for parent, counter in (("/sys/fs/cgroup/cpuacct", "cpuacct.usage"), ("/sys/fs/cgroup", "cpu.stat")):
            path = pathlib.Path(parent) / f"{name}-{os.getpid()}"
            if not (pathlib.Path(parent) / counter).exists():
                continue
            try:
                path.mkdir()
            except OSError:
                continue
            self.path, self._counter = path, path / counter
            return

    def enter(self):
        """In the server's process, before it is executed."""
        if self.path:
            (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def pids(self):
        return [int(p) for p in (self.path / "cgroup.procs").read_text().split()] if self.path else tree([self.root])

    def seconds(self):
        if not self.path:
            return cpu([self.root])
        text = self._counter.read_text()
        return int(re.search(r"usage_usec (\d+)", text).group(1)) / 1e6 if "usage_usec" in text else int(text) / 1e9

    def memory_kb(self):
        """Without pages of files: they are the page cache's, whether a server maps its files or reads them."""
        return sum(pss_of(p, ("Pss_Anon", "Pss_Shmem")) for p in self.pids())

    def remove(self):
        if self.path:
            self.path.rmdir()
