//! The source files, and searches in their code.

use std::path::Path;

/// The directories that the rules cover.
const DIRECTORIES: [&str; 5] = ["framework", "macros", "instaclone", "examples", "tests"];

/// Generated files, and files that contain the very words that the rules look for.
const EXEMPT: [&str; 2] = ["macros/tests/expanded/", "tests/whole_system/tidy"];

/// A source file of the workspace.
pub(super) struct Source {
    /// Relative to the workspace's root.
    pub(super) path: String,
    pub(super) text: String,
}

/// Every source file, in order.
pub(super) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for directory in DIRECTORIES {
        collect(root, directory, &mut files);
    }
    files.retain(|file| !EXEMPT.iter().any(|exempt| file.path.starts_with(exempt)));
    files
}

fn collect(root: &Path, path: &str, files: &mut Vec<Source>) {
    let mut names: Vec<String> = std::fs::read_dir(root.join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "target" && !name.starts_with('.'))
        .collect();
    names.sort();
    for name in names {
        let path = format!("{path}/{name}");
        if root.join(&path).is_dir() {
            collect(root, &path, files);
        } else if name.ends_with(".rs") {
            files.push(Source { text: std::fs::read_to_string(root.join(&path)).unwrap(), path });
        }
    }
}

impl Source {
    /// The lines of code, numbered from 1: without comments, and without the tests at the end.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = ["/tests/", "/tests.rs", "_tests.rs", "/testing/", "/conformance/"]
            .iter()
            .any(|part| self.path.contains(part));
        let end = match self.text.find("#[cfg(test)]\nmod tests {") {
            _ if is_test && self.path.contains("/src/") => 0,
            found => found.unwrap_or(self.text.len()),
        };
        let lines = self.text[..end].lines().enumerate();
        lines.map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
    }

    /// The lines of code that contain one of these texts.
    pub(super) fn lines_with(&self, texts: &[&str]) -> Vec<usize> {
        let found = self.code().filter(|(_, line)| texts.iter().any(|text| line.contains(text)));
        found.map(|(number, _)| number).collect()
    }

    /// The lines of code that contain one of these words as a whole word.
    pub(super) fn lines_with_words(&self, words: &[&str]) -> Vec<usize> {
        let has_word = |line: &str| {
            let mut parts = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            parts.any(|part| words.contains(&part))
        };
        self.code().filter(|(_, line)| has_word(line)).map(|(number, _)| number).collect()
    }
}
