//! instaclone.
fn main() {}
