"""A fresh Debian that really boots: the service as the README says, and what a service's life holds (NEMOD_SLOW=1, as root).

One machine for all, in the order in which they stand here: what one test leaves is where the next begins.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.booted import PATIENCE_S, PERSON, ROOT, Booted, booted, commit, eventually, why_not
from tests.support.clips import clip, make_clip

pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
    pytest.mark.timeout(1800),
]

INBOX = "/srv/nemod/Compress/discord"
TIGHT = """
[presets.tight]
base = "compress-video"
limit = "400KB"
[folders.tight]
inbox = "/srv/tight"
preset = "tight"
engine = "local"
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """A fresh one, with a person who may use sudo."""
    with booted(tmp_path_factory.mktemp("machine")) as made:
        yield made


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of a small picture: some seconds of work."""
    return make_clip(tmp_path_factory.mktemp("while") / "while.mkv", seconds=30, size=(640, 360))


@pytest.fixture(scope="module")
def served(machine: Booted) -> Booted:
    """The same with a folder whose videos take a while."""
    machine.run("bash", "-c", f"printf %s {shlex.quote(TIGHT)} >> /etc/nemod/config.toml")
    return machine


def block(after: str) -> list[str]:
    """The commands of the README's first block of them after some words, without what is said to each."""
    text = (ROOT / "README.md").read_text("utf-8").partition(after)[2]
    found = re.search(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    assert found is not None
    return [re.sub(r"\s+# .*", "", line) for line in found[1].splitlines()]


def test_the_readme_leads_from_a_fresh_debian_to_a_hardened_service(machine: Booted, tiny: Path) -> None:
    """Its commands as they stand there, by a person; a video that is dropped then comes out."""
    lines = block("**On a server or NAS")
    *setup, drop = [line.replace("<this repository>", "/src") for line in lines]
    assert drop.startswith("cp clip.mov ")
    said = machine.person("\n".join(setup)).stdout
    assert "It runs from boot on." in said
    machine.put(tiny, INBOX, "clip.mov")
    machine.wait_for("clip.mov", "done")
    assert machine.person(f"ls {INBOX}/done; rm {INBOX}/done/clip.mp4").stdout.split() == ["clip.mp4"]
    assert "sudo -u nemod nemod status" in machine.person("nemod status").stderr
    status = Path(f"/proc/{machine.leader()}/root/proc/{machine.main_pid()}/status").read_text()
    assert re.search(r"^Seccomp:\s+2$", status, flags=re.MULTILINE)
    assert re.search(r"^CapBnd:\s+0+$", status, flags=re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, flags=re.MULTILINE)
    said = machine.run("nsenter", "--mount", "--target", machine.main_pid(), "touch", "/etc/x", check=False).stderr
    assert "Read-only file system" in said


def test_real_videos_of_every_kind_come_out_of_the_sandbox(machine: Booted) -> None:
    """HDR that is tone-mapped, interlaced, odd sizes, rotation, subtitles: nothing that they need is taken away."""
    names = ["iphone_hlg_rot.MOV", "interlaced.mpg", "bear_odd.webm", "hevc_rot_datatrack.mp4", "subs_ssa.mkv"]
    for name in names:
        machine.put(clip(name), INBOX, name)
    for name in names:
        machine.wait_for(name, "done")


def test_systemd_itself_finds_the_installed_unit_well(machine: Booted) -> None:
    """No complaint, and little to reach for."""
    assert machine.run("systemd-analyze", "verify", "--man=no", "/etc/systemd/system/nemod.service").stderr == ""
    machine.run("systemd-analyze", "security", "--threshold=20", "--no-pager", "nemod.service")


def test_what_the_service_s_user_lacks_is_told_with_the_commands_that_give_it(served: Booted) -> None:
    """A folder in a place of root's; the commands work as they are printed, and what changed in the unit is told."""
    again = served.person("sudo nemod service install --system", check=False)
    assert again.returncode == 1
    assert "/srv/tight is missing and cannot be made" in again.stderr
    commands = [line.strip() for line in again.stderr.splitlines() if line.startswith("  sudo ")]
    assert commands
    served.person("\n".join(commands))
    assert "+ ReadWritePaths=-/srv/tight" in served.person("sudo nemod service install --system").stdout
    assert "is as it should be" in served.person("sudo nemod service install --system").stdout
    served.run(
        "bash", "-c", "mkdir /srv/theirs; chmod 700 /srv/theirs; sed -i s,/srv/tight,/srv/theirs/in, /etc/nemod/config.toml"
    )
    served.run("mkdir", "/srv/theirs/in")
    again = served.person("sudo nemod service install --system", check=False)
    commands = [line.strip() for line in again.stderr.splitlines() if line.startswith("  sudo setfacl")]
    assert len(commands) == 2, again.stderr
    served.person("\n".join(commands))
    served.person("sudo nemod service install --system")
    served.run("sed", "-i", "s,/srv/theirs/in,/srv/tight,", "/etc/nemod/config.toml")
    served.person("sudo nemod service install --system")


def test_a_folder_that_is_added_is_watched_at_once(machine: Booted, tiny: Path) -> None:
    """By the command of the README, as the service's user; and again after a reload by systemctl."""
    machine.person("sudo -u nemod nemod folders add mail --preset gmail")
    machine.put(tiny, "/srv/nemod/Compress/mail", "m.mp4")
    machine.wait_for("m.mp4", "done")
    pid = machine.main_pid()
    machine.run("systemctl", "reload", "nemod")
    machine.put(tiny, "/srv/nemod/Compress/mail", "n.mp4")
    machine.wait_for("n.mp4", "done")
    assert machine.main_pid() == pid


def test_a_stuck_daemon_is_started_again_and_its_job_is_done(served: Booted, lasting: Path) -> None:
    """Stopped in the middle of an encode; the watchdog ends it, nothing is lost and nothing done twice."""
    served.run("mkdir", "-p", "/run/systemd/system/nemod.service.d")
    served.run("bash", "-c", "printf '[Service]\\nWatchdogSec=6s\\n' > /run/systemd/system/nemod.service.d/soon.conf")
    served.run("systemctl", "daemon-reload")
    served.person("sudo nemod service restart --system")
    served.put(lasting, "/srv/tight", "stuck.mkv")
    served.encoding()
    served.run("kill", "-STOP", served.main_pid())
    eventually(
        lambda: served.ask("systemctl", "show", "--property=NRestarts", "--value", "nemod") == "1", PATIENCE_S, served.log
    )
    served.wait_for("stuck.mkv", "done")
    assert "Watchdog timeout" in served.ask("journalctl", "--unit=nemod", "--no-pager")
    assert served.ask("ls", "/srv/tight/done") == "stuck.mp4"
    served.run("rm", "-r", "/run/systemd/system/nemod.service.d")
    served.run("systemctl", "daemon-reload")


def test_a_token_is_handed_over_and_seen_by_nobody_else(machine: Booted) -> None:
    """It is in no environment; without it the service starts as well, which it has done so far."""
    machine.run("bash", "-c", "install -m 600 /dev/stdin /etc/nemod/token <<< nmv_usr_handed")
    machine.person("sudo nemod service restart --system")
    pid = machine.main_pid()
    assert b"nmv_usr" not in Path(f"/proc/{machine.leader()}/root/proc/{pid}/environ").read_bytes()
    as_service = ["nsenter", "--mount", "--target", pid, "setpriv", "--reuid=nemod", "--regid=nemod", "--init-groups", "env"]
    as_service += ["HOME=/srv/nemod", "CREDENTIALS_DIRECTORY=/run/credentials/nemod.service"]
    assert "the service manager" in machine.run(*as_service, "nemod", "account", "status").stdout
    assert "nemod doctor --service" in machine.run("sudo", "-u", "nemod", "nemod", "account", "status").stderr
    assert machine.run("cat", "/run/credentials/nemod.service/nemo_token").stdout.strip() == "nmv_usr_handed"
    assert machine.person("cat /run/credentials/nemod.service/nemo_token /etc/nemod/token", check=False).returncode != 0
    machine.run("rm", "/etc/nemod/token")
    machine.person("sudo nemod service restart --system")


def test_a_drive_can_come_go_and_come_back_under_the_sandbox(machine: Booted, tiny: Path) -> None:
    """Mounted only after the start, busy while it is watched, and unmounted for good once the service has stopped."""
    mount = "mount -t tmpfs none /mnt && mkdir -p /mnt/in && chown nemod: /mnt/in && chmod 2777 /mnt/in"
    machine.run("bash", "-c", mount)
    machine.run("bash", "-c", 'printf \'[folders.usb]\\ninbox = "/mnt/in"\\npreset = "discord"\\n\' >> /etc/nemod/config.toml')
    assert "+ ReadWritePaths=-/mnt" in machine.person("sudo nemod service install --system").stdout.splitlines()[1].strip()
    machine.put(tiny, "/mnt/in", "first.mp4")
    machine.wait_for("first.mp4", "done")
    assert machine.run("umount", "/mnt", check=False).returncode != 0
    machine.person("sudo nemod service stop --system")
    machine.run("umount", "/mnt")
    machine.person("sudo nemod service start --system")
    machine.run("bash", "-c", mount)
    machine.put(tiny, "/mnt/in", "second.mp4")
    machine.wait_for("second.mp4", "done")
    machine.run("sed", "-i", "/folders.usb/,$d", "/etc/nemod/config.toml")
    machine.person("sudo nemod service install --system")


def test_stop_and_start_with_a_job_under_way(served: Booted, lasting: Path) -> None:
    """Stopped politely, it is put down; started again, it is done, once."""
    served.put(lasting, "/srv/tight", "paused.mkv")
    served.encoding()
    served.person("sudo nemod service stop --system")
    assert served.ask("systemctl", "is-active", "nemod") == "inactive"
    assert served.person("nemod service status", check=False).returncode == 1
    assert served.states()["paused.mkv"] == ["queued"]
    served.person("sudo nemod service start --system")
    served.wait_for("paused.mkv", "done")


def test_a_reboot_and_a_power_cut_with_jobs_under_way(served: Booted, lasting: Path) -> None:
    """It comes up by itself, and goes on."""
    served.put(lasting, "/srv/tight", "reboot.mkv")
    served.encoding()
    served.reboot()
    assert served.ask("systemctl", "is-active", "nemod") == "active"
    served.wait_for("reboot.mkv", "done")
    served.put(lasting, "/srv/tight", "power.mkv")
    served.encoding()
    served.cut_power()
    served.wait_for("power.mkv", "done")


def test_a_service_of_a_person_s_own(machine: Booted, tiny: Path) -> None:
    """Installed without root; with linger it comes up at the boot; it does not mind the machine's own."""
    install, linger = block("**Yours")
    assert "loginctl enable-linger" in machine.person(install).stdout
    machine.person(linger)
    assert "from boot on" in machine.person("nemod service install").stdout
    home = f"/home/{PERSON}/Compress/discord"
    machine.put(tiny, home, "own.mp4")
    eventually(lambda: "own.mp4" in machine.ask("ls", f"{home}/done"), PATIENCE_S, machine.log)
    machine.put(clip("iphone_hlg_rot.MOV"), home, "hdr.mov")
    eventually(lambda: "hdr.mp4" in machine.ask("ls", f"{home}/done"), PATIENCE_S, machine.log)
    machine.reboot()
    eventually(lambda: machine.person("nemod service status", check=False).returncode == 0, PATIENCE_S, machine.log)
    assert "yours" in machine.person("nemod service status").stdout
    machine.person("nemod service uninstall")
    assert machine.person("nemod service status").stdout.startswith("Service: systemd, the machine's")
    assert machine.ask("ls", f"{home}/done").split() == ["hdr.mp4", "own.mp4"]


def test_an_upgrade_with_a_job_under_way(served: Booted, lasting: Path) -> None:
    """By the README's commands; the new version takes it up."""
    served.put(lasting, "/srv/tight", "upgrade.mkv")
    served.put(lasting, "/srv/tight", "behind.mkv")
    served.encoding()
    project = served.source / "pyproject.toml"
    project.write_text(re.sub(r'(?m)^version = ".*"', 'version = "99.0"', project.read_text("utf-8")), "utf-8")
    commit(served.source, "a newer version")
    served.person("cd nemod\n" + "\n".join(block("**Upgrade.**")))
    assert served.ask("nemod", "--version") == "nemod 99.0"
    for name in ("upgrade.mkv", "behind.mkv"):
        served.wait_for(name, "done")
    assert served.ask("ls", "/srv/tight/done").split() == [
        *("behind.mp4", "paused.mp4", "power.mp4", "reboot.mp4", "stuck.mp4", "upgrade.mp4"),
    ]
    assert served.ask("ls", "/srv/tight/failed") == ""


def test_uninstalling_leaves_what_is_somebody_s(machine: Booted) -> None:
    """The unit goes; config, ledger and videos stay, and are found again by a second installation."""
    jobs = len(machine.jobs())
    assert "Left as they are" in machine.person("sudo nemod service uninstall --system").stdout
    assert machine.ask("systemctl", "is-active", "nemod") == "inactive"
    assert machine.ask("ls", "/etc/systemd/system/nemod.service") == ""
    assert len(machine.jobs()) == jobs
    assert machine.person("nemod service status", check=False).returncode == 1
    machine.person("sudo nemod service install --system")
    assert machine.ask("systemctl", "is-active", "nemod") == "active"
