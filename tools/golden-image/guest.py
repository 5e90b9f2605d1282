"""One virtual machine in QEMU with its serial console, guest agent and monitor, as boot-test uses it."""
import ctypes
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time

DISK_BYTES = 5 * 1024**3
MAC = "52:54:00:b8:00:01"
FIRMWARE = {
    "bios": [],
    "uefi": ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"],
}
ANSI = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[@-_])|[\r\x00]")


class Failure(Exception):
    """A check, or the boot itself, did not do what it must."""


def die_with_parent():
    """QEMU ends with this test even when the test is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{command[0]} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Line:
    """One byte channel to QEMU. We listen and QEMU connects, so nothing it says is lost; a thread reads all the
    time, so QEMU never waits for us (a guest whose console nobody reads stands still)."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name)
        self.text = ""
        self.ended = False
        self.changed = threading.Condition()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.connection = None
        self.reader = threading.Thread(target=self.read_all, daemon=True)

    def accept(self, timeout):
        self.listener.settimeout(timeout)
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(None)
        self.reader.start()

    def read_all(self):
        data = b"-"
        while data:
            try:
                data = self.connection.recv(65536)
            except OSError:
                data = b""
            with self.changed:
                self.take(data)
                self.ended = not data
                self.changed.notify_all()

    def take(self, data):
        self.text += data.decode(errors="replace")

    def send(self, text):
        self.connection.sendall(text.encode())

    def read_until(self, pattern, deadline, dead=None):
        """Returns the match and drops what came before its end."""
        regex = re.compile(pattern)
        with self.changed:
            while True:
                found = regex.search(self.text)
                if found:
                    self.text = self.text[found.end():]
                    return found
                wrong = dead.search(self.text) if dead else None
                if wrong:
                    raise Failure(f"the guest said: {wrong.group(0)}")
                if self.ended:
                    raise Failure("QEMU closed the channel")
                if not self.changed.wait(max(0.0, deadline - time.monotonic())):
                    raise Failure(f"no {pattern!r} before the deadline; the last words were {self.text[-300:]!r}")

    def close(self):
        """To be called when QEMU has ended."""
        if self.connection:
            self.reader.join()
            self.connection.close()
        self.listener.close()


class Console(Line):
    """The serial console: escape sequences removed, everything kept in a log file."""

    def __init__(self, folder, log):
        super().__init__(folder, "serial")
        self.log = open(log, "wb")
        self.commands = 0

    def take(self, data):
        self.log.write(data)
        self.log.flush()
        self.text += ANSI.sub("", data.decode(errors="replace"))

    def run(self, command, timeout=120):
        """Runs a command in the logged-in shell and returns its output; fails when it fails."""
        self.commands += 1
        mark = f"END-{self.commands}-"
        with self.changed:
            self.text = ""
        # The quotes keep the echo of the command from looking like its end.
        self.send(f"{{ {command}; }} 2>&1; echo '{mark}'\"$?-\"\n")
        found = self.read_until(rf"(?s)(.*?){mark}(\d+)-", time.monotonic() + timeout)
        output = found.group(1).strip()
        if found.group(2) != "0":
            raise Failure(f"'{command}' ended with {found.group(2)}: {output[-300:]}")
        return output

    def close(self):
        super().close()
        self.log.close()


class Guest:
    """One QEMU machine with its channels; `with` ends it."""

    def __init__(self, image, firmware, folder, log):
        self.folder, self.firmware = folder, firmware
        self.password = secrets.token_hex(8)
        self.console = Console(folder, log)
        self.agent = Line(folder, "agent")
        self.qmp = Line(folder, "qmp")
        self.ssh_key = os.path.join(folder, "key")
        self.ssh_port = free_port()
        self.image = image
        self.qemu = None

    def __enter__(self):
        self.started = time.monotonic()
        self.qemu = subprocess.Popen(self.command_line(), stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
                                     stdout=subprocess.DEVNULL,
                                     stderr=open(os.path.join(self.folder, "qemu.err"), "wb"))
        try:
            for line in (self.console, self.agent, self.qmp):
                line.accept(60)
            self.qmp.read_until(r"QMP.*\n", time.monotonic() + 60)
            self.monitor("qmp_capabilities")
        except (OSError, Failure) as error:
            self.__exit__()
            with open(os.path.join(self.folder, "qemu.err"), encoding="utf-8") as stderr:
                raise Failure(f"QEMU did not start ({error}): {stderr.read().strip()}") from error
        return self

    def __exit__(self, *_):
        if self.qemu.poll() is None:
            self.qemu.kill()
        self.qemu.wait()
        for line in (self.console, self.agent, self.qmp):
            line.close()

    def age(self):
        return time.monotonic() - self.started

    def cpu_seconds(self):
        """What QEMU has used so far: the figure to compare boots by on a busy machine."""
        with open(f"/proc/{self.qemu.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def command_line(self):
        disk, seed = os.path.join(self.folder, "disk.qcow2"), self.make_seed()
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", self.image, disk, str(DISK_BYTES))
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
                   "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-device", "VGA",
                   "-smp", "2,sockets=4,cores=1,threads=1,maxcpus=4", "-m", "1024,slots=2,maxmem=4G",
                   "-device", "pcie-root-port,id=port0,chassis=1", "-device", "pcie-root-port,id=port1,chassis=2",
                   "-drive", f"if=none,id=disk,file={disk},format=qcow2,cache=unsafe,discard=unmap",
                   "-device", "virtio-blk-pci,drive=disk,bootindex=1",
                   "-drive", f"if=none,id=seed,file={seed},format=raw,readonly=on",
                   "-device", "virtio-blk-pci,drive=seed",
                   "-netdev", f"user,id=net0,hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22",
                   "-device", f"virtio-net-pci,netdev=net0,mac={MAC},bus=port0",
                   "-netdev", "user,id=net1,net=10.0.3.0/24", "-device", "virtio-rng-pci",
                   "-device", "virtio-serial-pci"]
        for name, line in (("serial", self.console), ("agent", self.agent), ("qmp", self.qmp)):
            command += ["-chardev", f"socket,id={name},path={line.path}"]
        command += ["-serial", "chardev:serial", "-mon", "chardev=qmp,mode=control",
                    "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
        if FIRMWARE[self.firmware]:
            code, variables = FIRMWARE[self.firmware]
            own = os.path.join(self.folder, "vars.fd")
            shutil.copyfile(variables, own)
            command += ["-drive", f"if=pflash,format=raw,readonly=on,file={code}",
                        "-drive", f"if=pflash,format=raw,file={own}"]
        return command

    def make_seed(self):
        """The cloud-init seed as Bridgehead makes it: an ISO 9660 labelled cidata."""
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.ssh_key)
        with open(self.ssh_key + ".pub", encoding="utf-8") as key:
            public_key = key.read().strip()
        files = {
            "meta-data": {"instance-id": "boot-test-" + secrets.token_hex(4), "local-hostname": "golden",
                          "public-keys": [public_key]},
            "user-data": {"chpasswd": {"expire": False,
                                       "users": [{"name": "debian", "password": self.password, "type": "text"}]}},
            "network-config": {"version": 2, "ethernets": {
                "nic0": {"match": {"macaddress": MAC}, "dhcp4": True}}},
        }
        for name, content in files.items():
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                # JSON is YAML, which is what cloud-init reads.
                file.write(("#cloud-config\n" if name == "user-data" else "") + json.dumps(content) + "\n")
        seed = os.path.join(self.folder, "seed.iso")
        run("genisoimage", "-quiet", "-output", seed, "-volid", "cidata", "-joliet", "-rock",
            *[os.path.join(self.folder, name) for name in files])
        return seed

    def monitor(self, execute, **arguments):
        self.qmp.send(json.dumps({"execute": execute, "arguments": arguments}) + "\n")
        answer = self.qmp.read_until(r'\{"(return|error)":.*\n', time.monotonic() + 60)
        if answer.group(1) == "error":
            raise Failure(f"QEMU refused {execute}: {answer.group(0).strip()}")

    def ask_agent(self, execute):
        self.agent.send(json.dumps({"execute": execute}) + "\n")
        answer = self.agent.read_until(r'\{"(return|error)":.*\n', time.monotonic() + 120)
        if answer.group(1) == "error":
            raise Failure(answer.group(0).strip())
        return json.loads(answer.group(0))["return"]
