//! The generators as they are installed, and running them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::committed;

/// What openapi-generator says of itself whatever document it is given. Nothing else is let pass.
const OF_ITS_OWN: [&str; 2] = [
    // Of every document of 3.1, however long it has supported that.
    "OpenAPI 3.1 support is still in beta.",
    // Of every part of a form that is a list and no enum, as `photo` and `alt` are.
    "Could not compute datatypeWithEnum from",
];

/// The directory that the generators are installed in.
pub(super) struct Tools(PathBuf);

impl Tools {
    /// Installs them if they are not there.
    pub(super) fn installed() -> Self {
        // This program is TARGET/PROFILE/deps/NAME.
        let this = std::env::current_exe().unwrap();
        let directory = this.ancestors().nth(3).unwrap().join("clients");
        let mut install = Command::new(committed("install"));
        output(install.arg(&directory));
        Self(directory)
    }

    /// A command that npm has installed.
    pub(super) fn node(&self, name: &str) -> Command {
        Command::new(self.node_modules().join(".bin").join(name))
    }

    /// What npm has installed.
    pub(super) fn node_modules(&self) -> PathBuf {
        self.0.join("node_modules")
    }

    /// A command that pip has installed, or `python` itself.
    pub(super) fn python(&self, name: &str) -> Command {
        let directory = self.0.join("python/bin");
        let mut command = Command::new(directory.join(name));
        let mut path = OsString::from(&directory);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Makes a client by openapi-generator.
    pub(super) fn openapi_generator(&self, document: &Path, generator: &str, to: &Path) {
        let mut command = self.python("openapi-generator-cli");
        command.args(["generate", "-g", generator, "-i"]).arg(document).arg("-o").arg(to);
        without_warnings(&output(&mut command));
    }

    /// Makes a package by openapi-python-client.
    pub(super) fn openapi_python_client(&self, document: &Path, to: &Path) {
        let mut command = self.python("openapi-python-client");
        command.args(["generate", "--fail-on-warning", "--meta", "none", "--path"]).arg(document);
        without_warnings(&output(command.arg("--output-path").arg(to)));
    }

    /// Makes types by openapi-typescript.
    pub(super) fn openapi_typescript(&self, document: &Path, to: &Path) {
        let mut command = self.node("openapi-typescript");
        without_warnings(&output(command.arg(document).arg("-o").arg(to)));
    }
}

/// What a command prints, on both ways; it must succeed.
pub(super) fn output(command: &mut Command) -> String {
    let of = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("{of}: {error}"));
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(output.status.success(), "{of}: {}\n{printed}", output.status);
    printed
}

/// Panics on what a generator says besides what it does.
fn without_warnings(printed: &str) {
    let warnings = warnings(printed);
    assert!(warnings.is_empty(), "the document is not taken as it is:\n{}", warnings.join("\n"));
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
