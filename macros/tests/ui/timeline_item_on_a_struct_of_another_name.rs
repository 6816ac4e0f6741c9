//! sea-orm knows only `Model`.

use tripod_macros::TimelineItem;

#[derive(TimelineItem)]
#[timeline(name = "home", audience = Follow)]
pub struct Note {
    pub id: i64,
}

pub struct Follow;

fn main() {}
