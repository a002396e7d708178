// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small QEMU for tests: it speaks QMP on a unix socket and has no machine behind it.
//!
//! Like QEMU it serves one client at a time; the next is accepted by the kernel and hears nothing until the
//! first has left. `server` carries the bytes, `machine` decides what they mean.

mod machine;
mod server;

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use server::Server;

/// A running mock. Dropping it ends the service and removes the socket.
pub struct Mock {
    path: PathBuf,
    server: Arc<Server>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Mock {
    /// Listens on `path`, which must not exist yet.
    pub fn start(path: impl AsRef<Path>) -> io::Result<Mock> {
        let path = path.as_ref().to_path_buf();
        let listener = UnixListener::bind(&path)?;
        let thread = Server::new(&listener).map(Arc::new).and_then(|server| {
            let (socket, serving) = (path.clone(), Arc::clone(&server));
            let thread = thread::Builder::new()
                .name("qmp-mock".into())
                .spawn(move || {
                    serving.run(&listener);
                    let _ = std::fs::remove_file(socket); // someone may have tidied up before
                    drop(listener);
                    serving.finish();
                })?;
            Ok((server, thread))
        });
        match thread {
            Ok((server, thread)) => Ok(Mock {
                path,
                server,
                thread: Mutex::new(Some(thread)),
            }),
            Err(error) => {
                let _ = std::fs::remove_file(&path); // the first error is the one to tell
                Err(error)
            }
        }
    }

    /// Listens on a fresh path among the temporary files.
    pub fn start_temporary() -> io::Result<Mock> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Mock::start(
            std::env::temp_dir().join(format!("libqmp-mock-{}-{count}", std::process::id())),
        )
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All bytes that clients have sent so far.
    pub fn bytes_received(&self) -> u64 {
        self.server.bytes_received()
    }

    /// The names of the commands that clients have sent so far, refused ones included.
    pub fn commands_received(&self) -> Vec<String> {
        self.server.commands_received()
    }

    /// Sends one message, usually an event, to the client of the moment; lost when there is none.
    pub fn emit(&self, json: &str) {
        let _ = self.server.send(&format!("{json}\r\n")); // a client that left misses it, as with QEMU
    }

    /// Waits until the machine has ended or `stop` was called.
    pub fn wait(&self) {
        self.server.wait();
    }

    /// Ends the service as if QEMU were killed: no farewell.
    pub fn stop(&self) {
        self.server.stop();
        if let Some(thread) = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            let _ = thread.join(); // a panic there has been printed
        }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.stop();
    }
}
