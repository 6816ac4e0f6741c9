//! Checks that the code in the README is the running club's own.

use std::path::Path;

#[test]
fn the_code_in_the_readme_is_the_clubs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let club = read("running_club/main.rs");
    let club: Vec<&str> = club.lines().map(str::trim).collect();
    let readme = read("../README.md");
    let code = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    for line in code.lines().map(str::trim) {
        assert!(club.contains(&line), "README.md has {line:?}, which is not in the example");
    }
}
