// SPDX-License-Identifier: MIT OR Apache-2.0
//! A serial port with a socket in front, as QEMU gives one to a guest agent: it takes a client whether or not
//! anybody is behind it, one at a time, and what comes while nobody is connected goes to the next.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::Folder;

pub struct SerialPort {
    folder: Folder,
    pub device: String,
    host: File,
    /// Holds the device open, so that the port is there without an agent.
    _guest: File,
    forwarded: Arc<AtomicU64>,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl SerialPort {
    pub fn new() -> SerialPort {
        let folder = Folder::new();
        let (host, device) = open_terminal();
        let guest = File::options()
            .read(true)
            .write(true)
            .open(&device)
            .unwrap();
        let listener = UnixListener::bind(folder.join("serial")).unwrap();
        let forwarded = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = UnixStream::pair().unwrap();
        let pump = Pump {
            host: host.try_clone().unwrap(),
            listener,
            stopped,
            forwarded: forwarded.clone(),
        };
        SerialPort {
            folder,
            device,
            host,
            _guest: guest,
            forwarded,
            stop: Some(stop),
            thread: Some(std::thread::spawn(move || pump.run())),
        }
    }

    pub fn address(&self) -> String {
        self.folder.join("serial").to_str().unwrap().to_owned()
    }

    /// How many bytes clients have sent to the guest.
    pub fn forwarded(&self) -> u64 {
        self.forwarded.load(Ordering::SeqCst)
    }

    /// The guest has sent something that no client has taken.
    pub fn has_more(&self) -> bool {
        readable(&[self.host.as_fd()], 0)[0]
    }
}

impl Drop for SerialPort {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_none_or(|ended| ended.is_ok()));
    }
}

struct Pump {
    host: File,
    listener: UnixListener,
    stopped: UnixStream,
    forwarded: Arc<AtomicU64>,
}

impl Pump {
    fn run(mut self) {
        while readable(&[self.stopped.as_fd(), self.listener.as_fd()], -1) == [false, true] {
            let (client, _) = self.listener.accept().unwrap();
            self.serve(client);
        }
    }

    fn serve(&mut self, mut client: UnixStream) {
        let mut chunk = [0; 4096];
        loop {
            let fds = [self.stopped.as_fd(), client.as_fd(), self.host.as_fd()];
            let [stopped, from_client, from_guest] = readable(&fds, -1)[..] else {
                unreachable!()
            };
            if stopped {
                return;
            }
            if from_client {
                let count = client.read(&mut chunk).unwrap_or(0);
                if count == 0 {
                    return;
                }
                self.host.write_all(&chunk[..count]).unwrap();
                self.forwarded.fetch_add(count as u64, Ordering::SeqCst);
            } else if from_guest {
                let count = self.host.read(&mut chunk).unwrap();
                let _ = client.write_all(&chunk[..count]); // it may have left
            }
        }
    }
}

/// A raw pseudo-terminal: its host's end, and the name of the guest's.
fn open_terminal() -> (File, String) {
    unsafe {
        let host = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        assert!(host >= 0, "{}", std::io::Error::last_os_error());
        let host = File::from(OwnedFd::from_raw_fd(host));
        let fd = host.as_raw_fd();
        assert_eq!((libc::grantpt(fd), libc::unlockpt(fd)), (0, 0));
        let mut name = [0; 64];
        assert_eq!(libc::ptsname_r(fd, name.as_mut_ptr(), name.len()), 0);
        let mut settings = std::mem::zeroed();
        assert_eq!(libc::tcgetattr(fd, &mut settings), 0);
        libc::cfmakeraw(&mut settings);
        assert_eq!(libc::tcsetattr(fd, libc::TCSANOW, &settings), 0);
        let name = CStr::from_ptr(name.as_ptr()).to_str().unwrap().to_owned();
        (host, name)
    }
}

/// Which of them can be read, or have ended.
fn readable(fds: &[BorrowedFd], timeout_ms: i32) -> Vec<bool> {
    let mut polled: Vec<_> = fds
        .iter()
        .map(|fd| libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as u64, timeout_ms) };
    polled.iter().map(|fd| fd.revents != 0).collect()
}
