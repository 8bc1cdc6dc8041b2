"""A Slurm of one node for tests: its daemons with a made configuration in a folder, as the user who runs the tests."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
READY_S = 30.0

CONFIGURATION = """
ClusterName=made
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
PartitionName=short Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """Return the programs of Slurm that are not here."""
    return [name for name in NEEDED if shutil.which(name, path=_path()) is None]


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the environment in which Slurm's commands reach a new cluster.

    Args:
        folder: for its files. It may be long: a socket lies in a short one.

    Raises:
        RuntimeError: a daemon does not start.
    """
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n")  # Slurm looks for a device of each
    host = socket.gethostname().partition(".")[0]
    text = CONFIGURATION.format(host=host, user=getpass.getuser(), folder=folder, ports=(_free(), _free()))
    (folder / "slurm.conf").write_text(text)
    environment = {**os.environ, "PATH": _path(), "SLURM_CONF": str(folder / "slurm.conf")}
    files = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
    commands = [
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *files],
        ["slurmctld", "-D", "-i"],
        ["slurmd", "-D", "-N", host],
    ]
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.out").open("wb") as log:
                daemons.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, process_group=0))
            if command[0] == "munged":
                _until(lambda: (folder / "munge.socket").exists(), daemons, folder)
        _until(lambda: b"idle" in _output(["sinfo", "--noheader", "--format=%T"], environment), daemons, folder)
        yield environment
        _output(["scancel", f"--user={getpass.getuser()}"], environment)
        _until(lambda: not listed(environment), daemons, folder)  # a job that outlives its daemon stays for ever
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def listed(environment: dict[str, str]) -> list[str]:
    """Return the ids of the jobs in the queue."""
    return _output(["squeue", "--noheader", "--array", "--format=%i"], environment).decode().split()


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"])


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _output(command: list[str], environment: dict[str, str]) -> bytes:
    return subprocess.run(command, env=environment, capture_output=True).stdout


def _until(is_true: Callable[[], object], daemons: list[subprocess.Popen[bytes]], folder: Path) -> None:
    end = time.monotonic() + READY_S
    while not is_true():
        if time.monotonic() > end or any(daemon.poll() is not None for daemon in daemons):
            logs = "\n".join(log.read_text(errors="replace")[-800:] for log in sorted(folder.glob("*.out")))
            raise RuntimeError(f"Slurm does not start: {logs}")
        time.sleep(0.2)
