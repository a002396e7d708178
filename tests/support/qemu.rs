// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real QEMU processes, killed when their test ends.

use std::io::Write;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;

use super::Folder;
use super::client::{Client, Failure, Options};

const MACHINE: &[&str] = &[
    "-M",
    "pc",
    "-accel",
    "tcg",
    "-m",
    "32",
    "-nodefaults",
    "-display",
    "none",
];

/// True where QEMU is missing and its tests are to be left out.
pub fn missing(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).exists())
    });
    if !found {
        let required = std::env::var_os("QMP_REQUIRE_QEMU").is_some_and(|value| value == "1");
        assert!(!required, "{program} is missing");
        // Past the test harness, which keeps the output of passing tests to itself.
        let _ = writeln!(std::io::stderr(), "skipped: {program} is missing");
    }
    !found
}

pub struct Qemu {
    folder: Folder,
    pub child: Child,
}

impl Qemu {
    /// A machine whose firmware finds nothing to boot, with its monitor on `-qmp`.
    pub fn start(arguments: &[&str]) -> Qemu {
        let folder = Folder::new();
        let socket = format!("unix:{},server=on,wait=off", folder.join("qmp").display());
        Qemu::spawn(
            folder,
            "qemu-system-x86_64",
            &[MACHINE, &["-qmp", &socket], arguments].concat(),
        )
    }

    /// As `start`, with a guest of tests/guest that listens to its power button.
    pub fn start_guest(temper: &str, arguments: &[&str]) -> Qemu {
        let image = format!(
            "file={},format=raw,if=ide,snapshot=on",
            guest(temper).display()
        );
        let folder = Folder::new();
        let socket = format!("unix:{},server=on,wait=off", folder.join("qmp").display());
        let armed = format!("file:{}", folder.join("armed").display());
        let machine = ["-drive", &image, "-serial", &armed, "-qmp", &socket];
        Qemu::spawn(
            folder,
            "qemu-system-x86_64",
            &[MACHINE, &machine, arguments].concat(),
        )
    }

    /// The guest has begun to listen to its button.
    pub fn wait_until_armed(&self) {
        super::wait_until("the guest's button", || {
            std::fs::read(self.folder.join("armed")).is_ok_and(|said| said.contains(&b'A'))
        });
    }

    /// As `start`, with `mode` among the monitor's settings, "pretty=on" for instance.
    pub fn start_with_monitor(mode: &str) -> Qemu {
        let folder = Folder::new();
        let socket = format!(
            "socket,id=qmp,path={},server=on,wait=off",
            folder.join("qmp").display()
        );
        let monitor = format!("chardev=qmp,mode=control,{mode}");
        let arguments = [MACHINE, &["-chardev", &socket, "-mon", &monitor]].concat();
        Qemu::spawn(folder, "qemu-system-x86_64", &arguments)
    }

    pub fn start_storage_daemon() -> Qemu {
        let folder = Folder::new();
        let socket = format!(
            "socket,id=qmp,path={},server=on,wait=off",
            folder.join("qmp").display()
        );
        Qemu::spawn(
            folder,
            "qemu-storage-daemon",
            &["--chardev", &socket, "--monitor", "chardev=qmp"],
        )
    }

    /// A guest agent on this very machine. Tests send it nothing that changes anything.
    pub fn start_agent() -> Qemu {
        let folder = Folder::new();
        let socket = folder.join("qmp").display().to_string();
        Qemu::spawn_agent(folder, "unix-listen", &socket)
    }

    /// As `start_agent`, behind a serial port.
    pub fn start_agent_at(device: &str) -> Qemu {
        Qemu::spawn_agent(Folder::new(), "isa-serial", device)
    }

    fn spawn_agent(folder: Folder, method: &str, path: &str) -> Qemu {
        let state = folder.path().display().to_string();
        let arguments = ["-m", method, "-p", path, "-t", &state];
        Qemu::spawn(folder, "qemu-ga", &arguments)
    }

    /// Another machine on the same socket, after this one has ended.
    pub fn restart(&mut self) {
        self.kill();
        let folder = std::mem::replace(&mut self.folder, Folder::new());
        let socket = format!("unix:{},server=on,wait=off", folder.join("qmp").display());
        *self = Qemu::spawn(
            folder,
            "qemu-system-x86_64",
            &[MACHINE, &["-qmp", &socket]].concat(),
        );
    }

    fn spawn(folder: Folder, program: &str, arguments: &[&str]) -> Qemu {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Dies with the test, however that ends.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        Qemu { folder, child }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("qmp")
    }

    pub fn address(&self) -> String {
        self.socket().to_str().unwrap().to_owned()
    }

    pub fn connect(&self) -> Result<Client, Failure> {
        self.connect_with(Options::default())
    }

    /// However long QEMU takes to start.
    pub fn connect_with(&self, options: Options) -> Result<Client, Failure> {
        let options = Options {
            wait_for_socket: true,
            ..options
        };
        Client::connect_with(&self.address(), options, super::LONG)
    }

    /// A client over a given descriptor, and a copy of that.
    pub fn connect_given(&self) -> (Client, UnixStream) {
        drop(self.connect().unwrap()); // it listens
        let stream = UnixStream::connect(self.socket()).unwrap();
        let copy = stream.try_clone().unwrap();
        let address = format!("fd:{}", stream.into_raw_fd());
        (Client::connect(&address, super::LONG).unwrap(), copy)
    }

    /// Stands still from here on, until SIGCONT.
    pub fn freeze(&self) {
        self.signal(libc::SIGSTOP);
        let stat = format!("/proc/{}/stat", self.child.id());
        super::wait_until("QEMU to stand still", || {
            let stat = std::fs::read_to_string(&stat).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('T')
        });
    }

    pub fn signal(&self, signal: i32) {
        let status = unsafe { libc::kill(self.child.id() as i32, signal) };
        assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The disk of a guest, built when it is first asked for.
fn guest(temper: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    // The tests stand in TARGET/PROFILE/deps.
    let program = std::env::current_exe().unwrap();
    let folder = program.ancestors().nth(3).unwrap().join("guest");
    BUILT.call_once(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest");
        let out = format!("OUT={}", folder.display());
        let status = Command::new("make")
            .arg("-sC")
            .arg(source)
            .arg(out)
            .status();
        assert!(status.unwrap().success(), "the guests cannot be built");
    });
    folder.join(format!("{temper}.img"))
}

/// Whether something that was sent waits to be received.
pub fn has_unread(stream: &UnixStream) -> bool {
    let mut unread = 0;
    let status = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut unread) };
    assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
    unread > 0
}
