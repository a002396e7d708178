// SPDX-License-Identifier: MIT OR Apache-2.0
//! include/qmp.h is what src/ffi says. `UPDATE_HEADER=1 cargo test --test header` rewrites it.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn header_is_current() {
    let header = root().join("include/qmp.h");
    let generated = generate();
    if std::env::var_os("UPDATE_HEADER").is_some() {
        fs::write(&header, &generated).unwrap();
    }
    let committed = fs::read_to_string(&header).unwrap_or_default();
    let difference = committed
        .lines()
        .zip(generated.lines())
        .position(|(old, new)| old != new);
    assert!(
        committed == generated,
        "include/qmp.h differs from src/ffi, first after line {}: run `make header`",
        difference.unwrap_or_else(|| committed.lines().count().min(generated.lines().count()))
    );
}

/// cbindgen leaves out, without a word, what it cannot write down.
#[test]
fn every_constant_is_there() {
    let header = generate();
    let mut constants = 0;
    for path in sections() {
        for line in fs::read_to_string(path).unwrap().lines() {
            let Some((name, _)) = line
                .strip_prefix("pub const ")
                .and_then(|rest| rest.split_once(':'))
            else {
                continue;
            };
            constants += 1;
            assert!(
                header.contains(&format!("#define {name} ")),
                "{name} is missing"
            );
        }
    }
    assert!(constants >= 31, "{constants}");
}

/// The header is the manual: nothing stands there without a word about it.
#[test]
fn everything_is_documented() {
    let header = generate();
    let body = header.split("extern \"C\" {").nth(1).unwrap();
    let mut described = false;
    for line in body.lines() {
        let declares = line.starts_with("qmp_")
            || line.starts_with("void ")
            || line.starts_with("const ")
            || line.starts_with("bool ")
            || line.contains("int32_t qmp_")
            || line.contains("int64_t qmp_")
            || line.starts_with("#define QMP_")
            || line.starts_with("typedef ");
        assert!(!declares || described, "not documented: {line}");
        described = line.trim_end().ends_with("*/");
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// cbindgen sorts by kind; run once per file it keeps each file's constants, types and functions together.
fn generate() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let mut header = config.header.clone().unwrap().trim_start().to_owned();
    let guard = config.include_guard.clone().unwrap();
    header += &format!("\n#ifndef {guard}\n#define {guard}\n\n");
    for include in &config.sys_includes {
        header += &format!("#include <{include}>\n");
    }
    header += "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n";
    for path in sections() {
        header += &format!("\n/* ---- {} ---- */\n\n", title(&path));
        // What rustdoc calls safety is the C programmer's part of the contract.
        let section = section(&config, &path).replace(" * # Safety\n * ", " * The caller's part: ");
        header += section.trim();
        header += "\n";
    }
    header += &format!("\n#ifdef __cplusplus\n}}\n#endif\n\n#endif /* {guard} */\n");
    header
}

/// The files that export functions, in the order in which src/ffi/mod.rs names them: a type comes before its
/// first use.
fn sections() -> Vec<PathBuf> {
    let folder = root().join("src/ffi");
    let modules = fs::read_to_string(folder.join("mod.rs")).unwrap();
    let names = modules
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let files = names.map(|name| folder.join(format!("{name}.rs")));
    files
        .filter(|file| fs::read_to_string(file).unwrap().contains("no_mangle"))
        .collect()
}

/// The first line of a file's own documentation.
fn title(path: &Path) -> String {
    let source = fs::read_to_string(path).unwrap();
    let line = source.lines().find_map(|line| line.strip_prefix("//! "));
    line.unwrap_or_else(|| panic!("{} has no title", path.display()))
        .trim_end_matches('.')
        .to_owned()
}

fn section(config: &cbindgen::Config, path: &Path) -> String {
    let part = cbindgen::Config {
        header: None,
        include_guard: None,
        sys_includes: Vec::new(),
        cpp_compat: false,
        ..config.clone()
    };
    let bindings = cbindgen::Builder::new()
        .with_config(part)
        .with_src(path)
        .generate()
        .unwrap();
    let mut text = Vec::new();
    bindings.write(&mut text);
    tidy(&String::from_utf8(text).unwrap())
}

/// What cbindgen cannot be told: a comment of one line takes one line, a negative number in a macro stands in
/// parentheses, and a structure has a tag, so that C++ can declare it forward.
fn tidy(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match &lines[..] {
            [.., open, comment] if open.trim() == "/**" && line.trim() == "*/" => {
                let short = format!("{open} {} */", comment.trim().trim_start_matches("* "));
                lines.truncate(lines.len() - 2);
                lines.push(short);
                continue;
            }
            _ => lines.push(line.to_owned()),
        }
        if let Some((define, number)) = line
            .rsplit_once(" -")
            .filter(|_| line.starts_with("#define "))
        {
            *lines.last_mut().unwrap() = format!("{define} (-{number})");
        }
        if let Some(name) = line
            .strip_prefix("} ")
            .and_then(|rest| rest.strip_suffix(';'))
        {
            let opening = lines
                .iter()
                .rposition(|line| line == "typedef struct {")
                .unwrap();
            lines[opening] = format!("typedef struct {name} {{");
        }
    }
    lines.join("\n")
}
