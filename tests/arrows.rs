// SPDX-License-Identifier: MIT OR Apache-2.0
//! The house keeps its order: each room imports only the rooms allowed to it, `unsafe` stands in two rooms, and
//! the pure rooms know no clock, socket or thread.

use std::fs;
use std::path::Path;

/// Room → the rooms it may import.
///
///     error ← wire ← session ← client ← ffi
///     error ← sys ← transport ← client
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("wire", &["error"]),
    ("session", &["error", "wire"]),
    ("sys", &["error"]),
    ("transport", &["error", "sys"]),
    ("client", &["error", "wire", "session", "sys", "transport"]),
    ("mock", &["error", "wire", "sys", "transport"]),
    ("ffi", &["error", "sys", "session", "client", "mock"]),
];

const UNSAFE_ROOMS: &[&str] = &["sys", "ffi"];

const PURE_ROOMS: &[&str] = &["wire", "session"];
const IMPURE_PATHS: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
];
const IMPURE_NAMES: &[&str] = &["Instant", "SystemTime", "libc"];

#[test]
fn the_house_keeps_its_order() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&source, &source, &mut files);
    for (room, _) in ROOMS {
        let inside =
            |path: &str| path == format!("{room}.rs") || path.starts_with(&format!("{room}/"));
        assert!(
            files.iter().any(|(path, _)| inside(path)),
            "the room {room} is gone"
        );
    }
    let found: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| violations(path, text))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_wrong_import_is_found() {
    let wrong = [
        ("wire/scan.rs", "use crate::session::Session;"),
        ("wire/scan.rs", "fn f() { crate::client::connect() }"),
        ("session/mod.rs", "use crate::{error::Error, sys::poll};"),
        (
            "session/mod.rs",
            "use crate::{\n    error::{self, Error},\n    client,\n};",
        ),
        ("sys/mod.rs", "pub use super::transport;"),
        ("transport/unix.rs", "use super::super::client::Client;"),
        ("mock/mod.rs", "use crate::session::events;"),
        ("client/mod.rs", "use crate::ffi::gate;"),
        (
            "client/mod.rs",
            "use crate::{error::{Error as E, Status}, sys::{poll::{a, b}, c,}, ffi as f,};",
        ),
        ("error.rs", "use crate::wire::framing::Refusal;"),
        ("new_room/mod.rs", "use crate::error::Error;"),
    ];
    for (path, text) in wrong {
        assert_eq!(violations(path, text).len(), 1, "{path}: {text}");
    }
    let right = [
        (
            "wire/scan.rs",
            "use super::string::Text; use crate::error::Error; use crate::wire::skim;",
        ),
        (
            "client/mod.rs",
            "use crate::{session, sys::{poll as p, socket::{A, B},}, transport::Address as T,};",
        ),
        (
            "wire/scan.rs",
            "// use crate::session;\n/* crate::ffi /* */ crate::ffi */ const A: &str = \"crate::ffi\";",
        ),
        (
            "wire/scan.rs",
            "const A: &str = r#\"\" crate::ffi\"#; const Q: char = '\"'; // \" crate::ffi",
        ),
        (
            "wire/scan.rs",
            "#[cfg(test)]\nmod tests { use crate::mock::Mock; fn f() { {} } }",
        ),
        ("wire/scan/tests.rs", "use crate::mock::Mock;"),
        ("lib.rs", "pub mod ffi;"),
    ];
    for (path, text) in right {
        assert_eq!(violations(path, text), [""; 0], "{path}: {text}");
    }
}

#[test]
fn a_wrong_unsafe_is_found() {
    for path in ["wire/scan.rs", "client/mod.rs", "lib.rs", "mock/tests.rs"] {
        assert_eq!(
            violations(path, "fn f() { unsafe { g() } }").len(),
            1,
            "{path}"
        );
        assert_eq!(
            violations(path, "#![deny(unsafe_code)] // unsafe"),
            [""; 0],
            "{path}"
        );
    }
    for path in ["sys/poll.rs", "ffi/mod.rs"] {
        assert_eq!(
            violations(path, "fn f() { unsafe { g() } }"),
            [""; 0],
            "{path}"
        );
    }
}

#[test]
fn a_clock_socket_or_thread_in_a_pure_room_is_found() {
    let wrong = [
        "use std::time::Instant;",
        "use std::time; fn f() { time::SystemTime::now(); }",
        "use std::{fmt, net::TcpStream};",
        "use std::os::fd::AsRawFd;",
        "fn f() { std::thread::yield_now() }",
        "fn f() -> libc::c_int { 0 }",
    ];
    for text in wrong {
        for path in ["wire/framing.rs", "session/pending.rs"] {
            assert_eq!(violations(path, text).len(), 1, "{path}: {text}");
        }
        assert_eq!(violations("client/reader.rs", text), [""; 0], "{text}");
    }
    let right = "use std::time::Duration; use std::{fmt, ops::Range}; #[cfg(test)] mod tests { use std::thread; }";
    assert_eq!(violations("session/pending.rs", right), [""; 0]);
}

/// What is wrong in one file; `path` counts from src/.
fn violations(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut object = |what: String| found.push(format!("src/{path}: {what}"));
    let room = path.split('/').next().unwrap().trim_end_matches(".rs");
    let code = code_only(text);

    if !UNSAFE_ROOMS.contains(&room) && words(&code).any(|(_, word)| word == "unsafe") {
        object("unsafe outside its rooms".into());
    }
    if room == "lib" || path.ends_with("/tests.rs") {
        return found; // lib.rs names every room; tests may look anywhere
    }
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        object("a room without a place in the order".into());
        return found;
    };
    let code = without_tests(&code);
    for import in imported_rooms(path, &code) {
        if import != room && !allowed.contains(&import.as_str()) {
            object(format!("{room} imports {import}"));
        }
    }
    // Their tests may measure and start threads.
    if PURE_ROOMS.contains(&room) && !path.contains("/tests") {
        let paths = paths_from(&code, "std");
        let paths = IMPURE_PATHS.iter().filter(|impure| {
            let below = format!("{impure}::");
            paths
                .iter()
                .any(|path| path == *impure || path.starts_with(&below))
        });
        let names = IMPURE_NAMES
            .iter()
            .filter(|name| words(&code).any(|(_, word)| word == **name));
        for impure in paths.chain(names) {
            object(format!("{impure} in a pure room"));
        }
    }
    found
}

fn imported_rooms(path: &str, code: &str) -> Vec<String> {
    let depth = path
        .trim_end_matches(".rs")
        .trim_end_matches("/mod")
        .split('/')
        .count();
    let mut rooms: Vec<String> = paths_from(code, "crate")
        .iter()
        .filter_map(|path| {
            path.split("::")
                .nth(1)
                .filter(|room| !room.is_empty())
                .map(str::to_owned)
        })
        .collect();
    // `super::…` counts only where it climbs to the root.
    for path in paths_from(code, "super") {
        let climb = path.split("::").take_while(|step| *step == "super").count();
        let name = path.split("::").nth(climb).unwrap_or_default();
        if climb >= depth && ROOMS.iter().any(|(room, _)| *room == name) {
            rooms.push(name.to_owned());
        }
    }
    rooms
}

/// Every path that begins with `root`, groups in braces taken apart.
fn paths_from(code: &str, root: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, word) in words(code) {
        if word == root && !code[..at].ends_with("::") && code[at + root.len()..].starts_with("::")
        {
            expand(&code[at..], &mut paths);
        }
    }
    paths
}

fn expand(code: &str, paths: &mut Vec<String>) {
    let mut groups: Vec<String> = Vec::new();
    let mut path = String::new();
    let mut complete = false; // what follows is a new name given with `as`
    for next in code.chars() {
        match next {
            '{' if path.ends_with("::") => groups.push(path.clone()),
            ',' | '}' if !groups.is_empty() => {
                paths.push(std::mem::take(&mut path));
                complete = false;
                if next == '}' {
                    groups.pop();
                }
                let Some(group) = groups.last() else { return };
                path.clone_from(group);
            }
            _ if next.is_whitespace() && (path.ends_with("::") || !groups.is_empty()) => {
                complete = !path.ends_with("::");
            }
            _ if next == ':' || next == '_' || next.is_alphanumeric() => {
                path.extend((!complete).then_some(next));
            }
            _ if groups.is_empty() => break,
            _ => {}
        }
    }
    paths.push(path);
}

fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        at += code[at..].find(part)?;
        let start = at;
        at += code[at..].find(|c| !part(c)).unwrap_or(code.len() - at);
        Some((start, &code[start..at]))
    })
}

/// The text without comments and without what stands in literals.
fn code_only(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skip = match next {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' if !code.ends_with(|c: char| c.is_alphanumeric() && c != 'b') => {
                raw_string(rest).unwrap_or(0)
            }
            '\'' => character(rest),
            _ => 0,
        };
        if skip == 0 {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skip..];
        }
    }
    code
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let (step, change) = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text[1..].find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    let body = text[1 + hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(2 + hashes + body.find(&close)? + close.len())
}

/// A character literal; a lifetime is none.
fn character(text: &str) -> usize {
    if text[1..].starts_with('\\') {
        return text[3..].find('\'').map_or(0, |end| end + 4);
    }
    let mut characters = text.char_indices().skip(2);
    characters
        .next()
        .filter(|(_, close)| *close == '\'')
        .map_or(0, |(at, _)| at + 1)
}

/// The code without its `#[cfg(test)]` items.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept += &rest[..at];
        rest = &rest[at..];
        let mut depth = 0;
        let end = rest.char_indices().find(|(_, c)| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0 && matches!(c, '}' | ';')
        });
        rest = end.map_or("", |(at, _)| &rest[at + 1..]);
    }
    kept + rest
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}
