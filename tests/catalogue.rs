// SPDX-License-Identifier: MIT OR Apache-2.0
//! tests/FAULTS.md names every fault and every test of it. `UPDATE_FAULTS=1 cargo test --test catalogue` fills in
//! the tests, which carry the numbers of their faults in their names; the words are written by hand.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

const LAST: u32 = 117;

#[test]
fn the_table_and_the_tests_agree() {
    let path = root().join("tests/FAULTS.md");
    let table = fs::read_to_string(&path).unwrap();
    let (tests, mut problems) = sources(&root());
    assert!(
        tests.len() > LAST as usize,
        "only {} tests found",
        tests.len()
    );
    if std::env::var_os("UPDATE_FAULTS").is_some() {
        fs::write(&path, filled_in(&table, &tests)).unwrap();
    }
    let table = fs::read_to_string(&path).unwrap();
    problems.extend(disagreements(&table, &tests, LAST));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A test, and the numbers of its faults, with which its name begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Test {
    file: String,
    name: String,
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.name)
    }
}

/// The numbers in `f7_f12_some_name`; none in another name.
fn numbers(name: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for part in name.split('_') {
        match part.strip_prefix('f').map(str::parse) {
            Some(Ok(number)) => numbers.push(number),
            _ => break,
        }
    }
    numbers
}

/// A row's number, words and tests. None: the line is no row.
fn row(line: &str) -> Option<(u32, Vec<&str>, Vec<Test>)> {
    let cells: Vec<&str> = line
        .strip_prefix('|')?
        .strip_suffix('|')?
        .split('|')
        .map(str::trim)
        .collect();
    let number = cells[0].parse().ok()?;
    let mut tests = Vec::new();
    for group in cells.get(3)?.split("; ").filter(|group| !group.is_empty()) {
        let (file, names) = group.split_once(": ").unwrap_or((group, ""));
        tests.extend(names.split(", ").map(|name| Test {
            file: file.to_owned(),
            name: name.to_owned(),
        }));
    }
    Some((number, cells, tests))
}

/// What is wrong with the table, given the tests that there are.
fn disagreements(table: &str, tests: &[Test], last: u32) -> Vec<String> {
    let mut problems = Vec::new();
    let mut expected = 1;
    for (number, cells, named) in table.lines().filter_map(row) {
        if number != expected {
            problems.push(format!("{number} stands where {expected} is due"));
        }
        expected = number + 1;
        if cells.len() != 4 || cells.iter().any(|cell| cell.is_empty()) {
            problems.push(format!("{number}: a cell is missing or empty"));
        }
        for test in &named {
            if !tests.contains(test) {
                problems.push(format!("{number}: there is no {test}"));
            } else if !numbers(&test.name).contains(&number) {
                problems.push(format!("{number}: the name says something else: {test}"));
            }
        }
        let own = tests
            .iter()
            .filter(|test| numbers(&test.name).contains(&number));
        problems.extend(
            own.filter(|test| !named.contains(test))
                .map(|test| format!("{number}: not in the table: {test}")),
        );
    }
    if expected != last + 1 {
        problems.push(format!("the last row is {}, not {last}", expected - 1));
    }
    for test in tests {
        let strange = numbers(&test.name)
            .into_iter()
            .filter(|number| !(1..=last).contains(number));
        problems.extend(strange.map(|number| format!("there is no fault {number}: {test}")));
    }
    problems
}

/// The table with the tests that there are.
fn filled_in(table: &str, tests: &[Test]) -> String {
    let fill = |line: &str| match row(line) {
        Some((number, cells, _)) if cells.len() == 4 => {
            let mut groups: Vec<String> = Vec::new();
            let mut file = "";
            for test in tests
                .iter()
                .filter(|test| numbers(&test.name).contains(&number))
            {
                if test.file == file {
                    let group = groups.last_mut().unwrap();
                    *group += &format!(", {}", test.name);
                } else {
                    groups.push(test.to_string());
                }
                file = &test.file;
            }
            format!(
                "| {} | {} | {} | {} |\n",
                cells[0],
                cells[1],
                cells[2],
                groups.join("; ")
            )
        }
        _ => format!("{line}\n"),
    };
    table.lines().map(fill).collect()
}

/// The numbered tests of a source file, and what is only named like one.
fn tests_in(file: &str, source: &str) -> (Vec<Test>, Vec<String>) {
    let (mut tests, mut problems) = (Vec::new(), Vec::new());
    let mut before = "";
    for line in source.lines().map(str::trim) {
        let opening = if file.ends_with(".c") {
            "static void "
        } else {
            "fn "
        };
        let name = line
            .strip_prefix(opening)
            .and_then(|rest| rest.split_once('('))
            .map(|(name, _)| name);
        if let Some(name) = name.filter(|name| !numbers(name).is_empty()) {
            let test = Test {
                file: file.to_owned(),
                name: name.to_owned(),
            };
            let runs = if file.ends_with(".c") {
                // RUN(…) or one of its kin: RUN_ALONE(…).
                source.lines().any(|line| {
                    let line = line.trim_start();
                    line.starts_with("RUN") && line.ends_with(&format!("({name});"))
                })
            } else {
                before == "#[test]"
            };
            if runs {
                tests.push(test);
            } else {
                problems.push(format!("never run: {test}"));
            }
        }
        before = line;
    }
    (tests, problems)
}

/// The numbered tests of the project, in the order of their files.
fn sources(root: &Path) -> (Vec<Test>, Vec<String>) {
    let mut files = Vec::new();
    for folder in ["c-tests", "src", "tests"] {
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    let (mut tests, mut problems) = (Vec::new(), Vec::new());
    for path in files {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        let (found, strange) = tests_in(name, &fs::read_to_string(&path).unwrap());
        tests.extend(found);
        problems.extend(strange);
    }
    (tests, problems)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|kind| kind == "rs" || kind == "c")
        {
            files.push(path);
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

mod of_itself {
    use super::*;

    const SOUND: &str = "\
| # | Fault | Behaviour | Tests |
|--|--|--|--|
| 1 | none | told | a.rs: f1_f2_x; b.c: f1_y |
| 2 | all | told | a.rs: f1_f2_x, f2_z |
";

    fn tests() -> Vec<Test> {
        let rust = "#[test]\nfn f1_f2_x() {}\n\n#[test]\nfn f2_z() {}\n\nfn helper() {}\n";
        let c = "static void f1_y(void)\n{\n}\nint main(void)\n{\n    RUN(f1_y);\n}\n";
        let (mut tests, problems) = tests_in("a.rs", rust);
        assert_eq!(problems, [""; 0]);
        let (more, problems) = tests_in("b.c", c);
        assert_eq!(problems, [""; 0]);
        tests.extend(more);
        tests
    }

    #[test]
    fn a_sound_table_is_accepted_and_can_be_filled_in() {
        assert_eq!(disagreements(SOUND, &tests(), 2), [""; 0]);
        let empty = SOUND
            .replace("a.rs: f1_f2_x; b.c: f1_y", "")
            .replace("a.rs: f1_f2_x, f2_z", "");
        assert_eq!(disagreements(&empty, &tests(), 2).len(), 2 + 4);
        assert_eq!(filled_in(&empty, &tests()), SOUND);
    }

    #[test]
    fn a_wrong_table_is_refused() {
        for (right, wrong, problem) in [
            ("| 2 |", "| 3 |", "3 stands where 2 is due"),
            ("| 2 |", "| 1 |", "1 stands where 2 is due"),
            ("| 2 |", "2", "the last row is 1, not 2"),
            ("| none |", "| |", "1: a cell is missing or empty"),
            ("; b.c: f1_y", "", "1: not in the table: b.c: f1_y"),
            (", f2_z", "", "2: not in the table: a.rs: f2_z"),
            ("f2_z |", "f2_z, f2_q |", "2: there is no a.rs: f2_q"),
            ("b.c", "a.rs", "1: there is no a.rs: f1_y"),
            (
                "f2_z |",
                "f2_z; b.c: f1_y |",
                "2: the name says something else: b.c: f1_y",
            ),
        ] {
            let problems = disagreements(&SOUND.replacen(right, wrong, 1), &tests(), 2);
            assert!(
                problems.contains(&problem.to_owned()),
                "{problem}: {problems:?}"
            );
        }
        let problems = disagreements(SOUND, &tests(), 1);
        assert!(
            problems.contains(&"there is no fault 2: a.rs: f2_z".to_owned()),
            "{problems:?}"
        );
    }

    #[test]
    fn what_is_never_run_is_no_test() {
        for (file, source) in [
            ("a.rs", "fn f1_x() {}\n"),
            (
                "b.c",
                "static void f1_x(void)\n{\n}\nint main(void)\n{\n    RUN(f1_xy);\n}\n",
            ),
        ] {
            let (tests, problems) = tests_in(file, source);
            assert_eq!(
                (tests.len(), problems),
                (0, vec![format!("never run: {file}: f1_x")])
            );
        }
    }

    #[test]
    fn numbers_stand_in_front() {
        assert_eq!(numbers("f7_f12_a_name_with_f3"), [7, 12]);
        for name in ["a_f3", "from_f3", "fn", "f_3", "f3x"] {
            assert_eq!(numbers(name), [0; 0], "{name}");
        }
    }
}
