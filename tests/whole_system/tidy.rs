//! The style rules that a program can check, over every source file of the workspace.
//!
//! A failure names the file, the line and what to do. Exceptions are short lists, with reasons.

mod layers;
mod source;
mod tables;

use source::{Source, sources};

/// One rule: how to fix a violation, and the lines (from 1) that violate it.
struct Rule {
    mend: &'static str,
    broken: fn(&Source) -> Vec<usize>,
}

const RULES: [Rule; 7] = [
    Rule {
        mend: "begin with `//!` and say in a line what the file is for",
        broken: |file| if file.text.starts_with("//!") { vec![] } else { vec![1] },
    },
    Rule {
        mend: "name it for what it does, not `util`, `helpers`, `common` or `misc`",
        broken: |file| {
            let vague = ["util", "utils", "helper", "helpers", "common", "misc"];
            let mut parts = file.path.trim_end_matches(".rs").split('/');
            if parts.any(|part| vague.contains(&part)) { vec![1] } else { vec![] }
        },
    },
    Rule {
        mend: "past 400 lines a file holds two things: part them",
        broken: |file| {
            let lines = file.text.lines().count();
            if lines > 400 && !LONG.contains(&file.path.as_str()) { vec![lines] } else { vec![] }
        },
    },
    Rule {
        mend: "write it, or return an error that says what is missing",
        broken: |file| file.lines_with(&["todo!", "unimplemented!"]),
    },
    Rule {
        mend: "a test that is not run proves nothing: run it, make it faster, or delete it",
        broken: |file| file.lines_with(&["#[ignore"]),
    },
    Rule {
        mend: "the framework knows no product: name the mechanism instead",
        broken: |file| {
            if !file.path.starts_with("framework/src/") {
                return vec![];
            }
            let nouns =
                ["instaclone", "instagram", "Instagram", "Follow", "Follower", "Like", "Caption", "Comment"];
            file.lines_with_words(&nouns)
        },
    },
    Rule { mend: layers::MEND, broken: layers::broken },
];

/// Files that may be longer than 400 lines.
const LONG: [&str; 0] = [];

#[test]
fn every_source_file_keeps_to_the_rules() {
    let files = sources();
    assert!(files.len() > 100, "only {} files were found", files.len());
    let mut faults = Vec::new();
    for file in &files {
        for rule in &RULES {
            let lines = (rule.broken)(file);
            faults.extend(lines.iter().map(|line| format!("{}:{line}: {}", file.path, rule.mend)));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Tests the rules themselves on made-up sources: each must be able to fail.
#[test]
fn every_rule_finds_what_it_is_there_to_find() {
    let long = format!("//! x\n{}", "\n".repeat(400));
    let broken = [
        ("instaclone/src/a.rs", "use std::fmt;\n", 1),
        ("instaclone/src/common/a.rs", "//! x\n", 1),
        ("instaclone/src/a.rs", long.as_str(), 401),
        ("instaclone/src/a.rs", "//! x\nfn f() { todo!() }\n", 2),
        ("instaclone/src/a.rs", "//! x\n#[ignore]\n", 2),
        ("framework/src/graph/a.rs", "//! A Like\n// Like\nstruct Like;\n", 3),
        ("framework/src/queue/a.rs", "//! x\nuse std::fmt;\nuse crate::web::Page;\n", 3),
    ];
    for (rule, (path, text, line)) in RULES.iter().zip(broken) {
        let file = Source { path: path.to_owned(), text: text.to_owned() };
        assert_eq!((rule.broken)(&file), [line], "{}", rule.mend);
    }
}
