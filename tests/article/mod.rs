//! "What Powers Instagram: Hundreds of Instances, Dozens of Technologies" (2011), row by row: what
//! ran then, what stands for it here, and a proof that it does.
//!
//! Each row is a file, in which its claim stands beside its proof. `cargo run --bin article` runs
//! the proofs; with `--write` it also writes what they showed into `results.json`, and the table in
//! the README from that. The test suite runs them, too, and fails when a proof fails or shows
//! something else than what is written down.
//!
//! A proof's sentence holds no figure that changes from run to run: counts, not times.

mod application_servers;
mod cache;
mod clients;
mod deploys;
mod ids;
mod load_balancer;
mod media;
mod monitoring;
mod pooling;
mod push;
mod queue;
mod replicas;
mod shards;
mod timelines;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;

/// The rows, in the article's order from the outside in.
pub const ROWS: [Row; 14] = [
    load_balancer::ROW,
    application_servers::ROW,
    deploys::ROW,
    shards::ROW,
    pooling::ROW,
    ids::ROW,
    media::ROW,
    timelines::ROW,
    cache::ROW,
    replicas::ROW,
    queue::ROW,
    push::ROW,
    monitoring::ROW,
    clients::ROW,
];

/// How long work behind a reply may take: a job, a fan-out.
const SOON: Duration = Duration::from_secs(30);

/// A part of what Instagram ran.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// That of its file.
    pub name: &'static str,
    /// What ran in 2011.
    pub of_2011: &'static str,
    /// What stands for it here.
    pub here: &'static str,
    /// How far it is true.
    pub state: State,
}

/// How far a row is true. What is missing is a clause of its own, without a full stop.
#[derive(Clone, Copy, Debug)]
pub enum State {
    /// It stands for all that the article says.
    Shown(Proof),
    /// It stands for a part of it; and what is missing.
    InPart(Proof, &'static str),
    /// It is not built, or nothing proves it; and what is missing.
    NotYet(&'static str),
}

/// Panics when the row is not so; otherwise says in sentences what it has shown.
pub type Proof = fn() -> LocalBoxFuture<'static, String>;

/// What each proof showed when it was last written down, by its row's name.
pub type Results = BTreeMap<String, String>;

impl Row {
    /// Its proof, if it has one.
    pub fn proof(&self) -> Option<Proof> {
        match self.state {
            State::Shown(proof) | State::InPart(proof, _) => Some(proof),
            State::NotYet(_) => None,
        }
    }

    /// Runs its proof. The error is why it failed.
    ///
    /// # Errors
    /// What the proof panicked with; that there is none.
    pub async fn prove(&self) -> Result<String, String> {
        let Some(proof) = self.proof() else { return Err("it has no proof yet".to_owned()) };
        AssertUnwindSafe(proof()).catch_unwind().await.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            text.unwrap_or_else(|| "it panicked without a message".to_owned())
        })
    }

    /// How far it is true, with what its proof showed when it last passed.
    pub fn standing(&self, results: &Results) -> String {
        let shown = results.get(self.name).map(String::as_str);
        match (self.state, shown) {
            (State::Shown(_), Some(shown)) => format!("shown: {shown}"),
            (State::InPart(_, missing), Some(shown)) => format!("in part: {shown} Missing: {missing}."),
            (State::NotYet(missing), _) => format!("not yet: {missing}."),
            (_, None) => "not shown: its proof has not passed yet.".to_owned(),
        }
    }
}

/// What the proofs showed when it was last written down.
///
/// # Panics
/// When the file can't be read.
pub fn results() -> Results {
    let text = std::fs::read_to_string(results_file()).expect("tests/article/results.json is there");
    serde_json::from_str(&text).expect("tests/article/results.json holds an object of texts")
}

/// Writes results down, and the README's table from them.
///
/// # Panics
/// When a file can't be written, or the README has lost its markers.
pub fn write(results: &Results) {
    let mut text = serde_json::to_string_pretty(results).expect("texts are JSON");
    text.push('\n');
    std::fs::write(results_file(), text).expect("tests/article/results.json can be written");
    let readme = readme();
    let (before, after) = (readme.find(BEGIN), readme.find(END));
    let (Some(before), Some(after)) = (before, after) else {
        panic!("README.md has no {BEGIN} and {END}");
    };
    let text = format!("{}{}{}", &readme[..before + BEGIN.len()], table(results), &readme[after..]);
    std::fs::write(readme_file(), text).expect("README.md can be written");
}

const BEGIN: &str = "<!-- article:begin -->\n";
const END: &str = "<!-- article:end -->";

/// The table as it stands in the README.
pub fn table_in_readme() -> Option<String> {
    let readme = readme();
    let (_, rest) = readme.split_once(BEGIN)?;
    rest.split_once(END).map(|(table, _)| table.to_owned())
}

/// The table that follows from these results.
pub fn table(results: &Results) -> String {
    let mut table = "| 2011 | Here | Proof | State |\n| --- | --- | --- | --- |\n".to_owned();
    for row in ROWS {
        let proof = match row.proof() {
            Some(_) => format!("[{0}](tests/article/{0}.rs)", row.name),
            None => "none yet".to_owned(),
        };
        let state = row.standing(results).replace('|', "\\|");
        table.push_str(&format!("| {} | {} | {proof} | {state} |\n", row.of_2011, row.here));
    }
    table
}

fn readme() -> String {
    std::fs::read_to_string(readme_file()).expect("README.md is there")
}

fn readme_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")
}

fn results_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("article/results.json")
}

/// A number for people: 8,192.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok());
    groups.collect::<Vec<_>>().join(",")
}
