// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors that the peer passes along with its messages: none is kept.

use std::io::Read;
use std::mem;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::connect;
use super::support::LONG;
use super::support::hostile::{GREETING, Hostile};

#[test]
fn f112_descriptors_that_come_along_are_closed() {
    let server = Hostile::start(|peer| {
        let (mut watch, passed) = UnixStream::pair().unwrap();
        watch
            .set_read_timeout(Some(Duration::from_millis(LONG as u64)))
            .unwrap();
        let pass = |stream: &UnixStream, text: &str| {
            send_with(stream, text.as_bytes(), &[passed.as_raw_fd(); 3]);
        };
        pass(&peer.stream, GREETING);
        peer.accept_capabilities();
        let command = peer.command();
        let reply = format!("{{\"return\": 1, \"id\": {}}}", command.id);
        pass(&peer.stream, &reply);
        pass(&peer.stream, "{\"event\": \"IDLE\"}");
        drop(passed);
        // The end comes when nobody has a copy any more.
        assert_eq!(watch.read(&mut [0]).unwrap(), 0);
        peer.answer("2");
        peer.wait_for_end();
    });
    let client = connect(&server);
    assert_eq!(client.call("first").as_deref(), Ok("1"));
    assert_eq!(client.call("second").as_deref(), Ok("2"));
    assert_eq!(client.event().as_deref(), Ok("IDLE"));
}

/// Sends text with descriptors attached to its first byte.
fn send_with(stream: &UnixStream, text: &[u8], descriptors: &[RawFd]) {
    let size = mem::size_of_val(descriptors) as u32;
    let mut control = [0u64; 8];
    unsafe {
        let mut part = libc::iovec {
            iov_base: text.as_ptr().cast_mut().cast(),
            iov_len: text.len(),
        };
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size) as usize;
        assert!(message.msg_controllen <= mem::size_of_val(&control));
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size) as usize;
        let data = libc::CMSG_DATA(header).cast::<RawFd>();
        data.copy_from_nonoverlapping(descriptors.as_ptr(), descriptors.len());
        let sent = libc::sendmsg(stream.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL);
        assert_eq!(sent, text.len() as isize);
    }
}
