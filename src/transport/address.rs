// SPDX-License-Identifier: MIT OR Apache-2.0
//! The text form of an address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::Target;
use crate::error::{Error, Result};
use crate::sys::socket::MAX_UNIX_PATH;

/// Where a VM's monitor is: `/PATH`, `unix:PATH`, `abstract:NAME`, `tcp:HOST:PORT`, `fd:N`.
#[derive(Clone, Debug)]
pub enum Address {
    Resolved(Target),
    /// A host name that the resolver has to look up.
    Named {
        host: String,
        port: u16,
    },
}

impl Address {
    /// Paths are bytes; all else is UTF-8. No system call is made.
    pub fn parse(text: &[u8]) -> Result<Address> {
        if let Some(rest) = text.strip_prefix(b"tcp:") {
            return tcp(rest);
        }
        if let Some(rest) = text.strip_prefix(b"fd:") {
            return descriptor(rest);
        }
        if let Some(name) = text.strip_prefix(b"abstract:") {
            let name = limited(name, MAX_UNIX_PATH - 1, "name of an abstract socket")?;
            return Ok(Address::Resolved(Target::Abstract(name)));
        }
        let path = text.strip_prefix(b"unix:").unwrap_or(text);
        let path = limited(path, MAX_UNIX_PATH, "path of a unix socket")?;
        Ok(Address::Resolved(Target::Path(path)))
    }
}

fn limited(bytes: &[u8], most: usize, what: &str) -> Result<Vec<u8>> {
    if bytes.is_empty() {
        return Err(Error::invalid(format!("the {what} is empty")));
    }
    if bytes.contains(&0) {
        return Err(Error::invalid(format!("the {what} holds a NUL byte")));
    }
    if bytes.len() > most {
        return Err(Error::invalid(format!(
            "the {what} has {} bytes and the system takes {most}: use a shorter one, or connect \
             yourself and pass the descriptor as fd:N",
            bytes.len()
        )));
    }
    Ok(bytes.to_vec())
}

fn tcp(rest: &[u8]) -> Result<Address> {
    let form = "want tcp:HOST:PORT with a port from 1 to 65535, IPv6 addresses in brackets";
    let bad = || {
        Error::invalid(format!(
            "tcp:{} is no address: {form}",
            String::from_utf8_lossy(rest).escape_default()
        ))
    };
    let text = std::str::from_utf8(rest).map_err(|_| bad())?;
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let port: u16 = port.parse().map_err(|_| bad())?;
    if port == 0 || host.is_empty() || host.contains('\0') {
        return Err(bad());
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        let (ip, scope) = inner.split_once('%').unwrap_or((inner, ""));
        let ip: Ipv6Addr = ip.parse().map_err(|_| bad())?;
        if !scope.is_empty() {
            // A scope may be an interface's name, which only the resolver knows.
            return Ok(Address::Named {
                host: inner.to_owned(),
                port,
            });
        }
        return Ok(Address::Resolved(Target::Tcp(SocketAddr::from((ip, port)))));
    }
    if host.contains([':', '[', ']']) {
        return Err(bad());
    }
    Ok(match host.parse::<IpAddr>() {
        Ok(ip) => Address::Resolved(Target::Tcp(SocketAddr::from((ip, port)))),
        Err(_) => Address::Named {
            host: host.to_owned(),
            port,
        },
    })
}

fn descriptor(rest: &[u8]) -> Result<Address> {
    std::str::from_utf8(rest)
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse::<i32>().ok())
        .map(|fd| Address::Resolved(Target::Descriptor(fd)))
        .ok_or_else(|| {
            Error::invalid(format!(
                "fd:{} is no address: want fd:N with the number of a connected stream socket",
                String::from_utf8_lossy(rest).escape_default()
            ))
        })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Resolved(Target::Path(path)) => {
                write!(f, "unix:{}", path.escape_ascii())
            }
            Address::Resolved(Target::Abstract(name)) => {
                write!(f, "abstract:{}", name.escape_ascii())
            }
            Address::Resolved(Target::Tcp(to)) => write!(f, "tcp:{to}"),
            Address::Resolved(Target::Descriptor(fd)) => write!(f, "fd:{fd}"),
            // An IPv6 address whose scope is a name.
            Address::Named { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Address::Named { host, port } => write!(f, "tcp:{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Status;

    fn shown(text: &str) -> String {
        Address::parse(text.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn every_form_is_understood() {
        assert_eq!(shown("/run/vm.sock"), "unix:/run/vm.sock");
        assert_eq!(shown("vm.sock"), "unix:vm.sock");
        assert_eq!(shown("unix:/run/vm.sock"), "unix:/run/vm.sock");
        assert_eq!(shown("unix:tcp:odd"), "unix:tcp:odd");
        assert_eq!(shown("abstract:vm"), "abstract:vm");
        assert_eq!(shown("tcp:127.0.0.1:4444"), "tcp:127.0.0.1:4444");
        assert_eq!(shown("tcp:[::1]:4444"), "tcp:[::1]:4444");
        assert_eq!(shown("tcp:[fe80::1%eth0]:1"), "tcp:[fe80::1%eth0]:1");
        assert_eq!(shown("tcp:localhost:1"), "tcp:localhost:1");
        assert_eq!(shown("fd:7"), "fd:7");
    }

    #[test]
    fn f7_what_is_no_address_is_refused() {
        for text in [
            "",
            "unix:",
            "abstract:",
            "a\0b",
            "tcp:",
            "tcp:host",
            "tcp::1",
            "tcp:host:0",
            "tcp:host:65536",
            "tcp:host:+1",
            "tcp:host:",
            "tcp:::1:4444",
            "tcp:[::1:4444",
            "tcp:[host]:1",
            "fd:",
            "fd:-1",
            "fd:+1",
            "fd:99999999999",
            "fd:1x",
        ] {
            let error = Address::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.status, Status::InvalidArgument, "{text:?}");
        }
    }

    #[test]
    fn f6_a_path_of_107_bytes_is_the_longest() {
        assert!(Address::parse(&[b'a'; 107]).is_ok());
        assert!(Address::parse(&[b'a'; 108]).is_err());
        assert!(Address::parse(&[b"abstract:".as_slice(), &[b'a'; 107]].concat()).is_err());
    }
}
