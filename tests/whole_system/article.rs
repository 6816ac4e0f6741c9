//! The rows of the article: each proof passes and shows what is documented, and the README's table
//! matches.

use tripod_tests::article::{self, ROWS};

macro_rules! proofs {
    ($($row:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $row() {
                shows_what_is_written_down(stringify!($row)).await;
            }
        )+

        /// The rows with a test here.
        const TESTED: &[&str] = &[$(stringify!($row)),+];
    };
}

proofs!(application_servers, shards, pooling, ids, media, timelines, cache, queue, clients);

const MEND: &str = "`cargo run --bin article -- --write` writes it down";

async fn shows_what_is_written_down(name: &str) {
    let row = ROWS.iter().find(|row| row.name == name).expect("the table has this row");
    let shown = row.prove().await.unwrap_or_else(|why| panic!("{name} does not hold: {why}"));
    println!("{}: {shown}", row.of_2011);
    assert_eq!(article::results().get(name), Some(&shown), "{MEND}");
}

#[test]
fn every_proof_is_run_here() {
    let proofs: Vec<&str> = ROWS.iter().filter(|row| row.proof().is_some()).map(|row| row.name).collect();
    assert_eq!(proofs, TESTED, "name the rows that have a proof in {}", file!());
}

#[test]
fn the_table_in_the_readme_is_what_the_proofs_showed() {
    let table = article::table_in_readme().expect("README.md has the markers of the table");
    let expected = article::table(&article::results());
    for (row, expected) in table.lines().zip(expected.lines()) {
        assert_eq!(row, expected, "{MEND}");
    }
    assert_eq!(table.len(), expected.len(), "the table has other rows; {MEND}");
}
