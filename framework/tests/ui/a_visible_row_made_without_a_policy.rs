//! A handler that calls a row visible by itself.

use tripod::access::Visible;

fn main() {
    let _ = Visible("a secret note");
}
