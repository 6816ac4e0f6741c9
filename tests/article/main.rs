//! Runs the proofs of what stands for Instagram's technologies of 2011:
//! `cargo run --bin article [-- [--write] [ROW...]]`.

use std::process::ExitCode;
use std::time::Instant;

use tripod_tests::article::{self, ROWS};

#[tokio::main]
async fn main() -> ExitCode {
    let (options, names): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    if options.iter().any(|option| option != "--write") {
        eprintln!("usage: article [--write] [ROW...]");
        return ExitCode::from(2);
    }
    if let Some(name) = names.iter().find(|name| ROWS.iter().all(|row| row.name != **name)) {
        let known: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        eprintln!("error: there is no row {name}; the rows are {}", known.join(", "));
        return ExitCode::from(2);
    }
    let mut results = article::results();
    // Rows that have been renamed or have lost their proof leave nothing behind.
    results.retain(|name, _| ROWS.iter().any(|row| row.name == name && row.proof().is_some()));
    let mut failed = Vec::new();
    for row in ROWS.iter().filter(|row| names.is_empty() || names.iter().any(|name| name == row.name)) {
        println!("{}: {} -> {}", row.name, row.of_2011, row.here);
        if row.proof().is_some() {
            let begun = Instant::now();
            match row.prove().await {
                Ok(shown) => drop(results.insert(row.name.to_owned(), shown)),
                Err(why) => {
                    println!("  FAILS: {why}");
                    results.remove(row.name);
                    failed.push(row.name);
                }
            }
            println!("  ({:.1} s)", begun.elapsed().as_secs_f64());
        }
        println!("  {}", row.standing(&results));
    }
    if options.iter().any(|option| option == "--write") {
        article::write(&results);
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: these proofs fail: {}", failed.join(", "));
    ExitCode::FAILURE
}
