//! The installed generators, and how they are run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::committed;

/// Warnings that openapi-generator prints for any document. No others are ignored.
const OF_ITS_OWN: [&str; 2] = [
    // For every 3.1 document, although it has long supported that version.
    "OpenAPI 3.1 support is still in beta.",
    // For every part of a form that is a list and not an enum, such as `photo` and `alt`.
    "Could not compute datatypeWithEnum from",
];

/// The directory where the generators are installed.
pub(super) struct Tools(PathBuf);

impl Tools {
    /// Installs them if they are missing.
    pub(super) fn installed() -> Self {
        // This program is TARGET/PROFILE/deps/NAME.
        let this = std::env::current_exe().unwrap();
        let directory = this.ancestors().nth(3).unwrap().join("clients");
        let mut install = Command::new(committed("install"));
        output(install.arg(&directory));
        Self(directory)
    }

    /// A command installed by npm.
    pub(super) fn node(&self, name: &str) -> Command {
        Command::new(self.node_modules().join(".bin").join(name))
    }

    /// The packages installed by npm.
    pub(super) fn node_modules(&self) -> PathBuf {
        self.0.join("node_modules")
    }

    /// A command installed by pip, or `python` itself.
    pub(super) fn python(&self, name: &str) -> Command {
        let directory = self.0.join("python/bin");
        let mut command = Command::new(directory.join(name));
        let mut path = OsString::from(&directory);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Generates a client with openapi-generator.
    pub(super) fn openapi_generator(&self, document: &Path, generator: &str, to: &Path) {
        let mut command = self.python("openapi-generator-cli");
        command.args(["generate", "-g", generator, "-i"]).arg(document).arg("-o").arg(to);
        without_warnings(&output(&mut command));
    }

    /// Generates a package with openapi-python-client.
    pub(super) fn openapi_python_client(&self, document: &Path, to: &Path) {
        let mut command = self.python("openapi-python-client");
        command.args(["generate", "--fail-on-warning", "--meta", "none", "--path"]).arg(document);
        without_warnings(&output(command.arg("--output-path").arg(to)));
    }

    /// Generates types with openapi-typescript.
    pub(super) fn openapi_typescript(&self, document: &Path, to: &Path) {
        let mut command = self.node("openapi-typescript");
        without_warnings(&output(command.arg(document).arg("-o").arg(to)));
    }
}

/// The output of a command, on both streams; it must succeed.
pub(super) fn output(command: &mut Command) -> String {
    let of = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("{of}: {error}"));
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(output.status.success(), "{of}: {}\n{printed}", output.status);
    printed
}

/// Panics if a generator prints warnings.
fn without_warnings(printed: &str) {
    let warnings = warnings(printed);
    assert!(warnings.is_empty(), "the generator warns about the document:\n{}", warnings.join("\n"));
}

fn warnings(printed: &str) -> Vec<&str> {
    let signs = ["WARN", "arning", "ERROR", "rror:", "xception", "⚠", "✘"];
    let lines = printed.lines().filter(|line| signs.iter().any(|sign| line.contains(sign)));
    lines.filter(|line| !OF_ITS_OWN.iter().any(|known| line.contains(known))).collect()
}

#[test]
fn a_warning_is_found_among_what_a_generator_does() {
    let printed = "[main] INFO  o.o.codegen.TemplateManager - writing file FieldError.swift\n\
                   [main] WARN  o.o.codegen.DefaultCodegen - OpenAPI 3.1 support is still in beta. To\n\
                   [main] ERROR o.o.codegen.DefaultCodegen - Schema cannot be null in the request body\n\
                   WARNING parsing PUT /me/avatar. Endpoint will not be generated.";
    let found = warnings(printed);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("Schema cannot be null") && found[1].contains("/me/avatar"));
}
