//! The job that writes an edge's far end when the process that made the edge could not.

use serde::{Deserialize, Serialize};

use super::Graph;
use crate::queue::{Job, JobRun, Run};

/// Brings the far end of an edge to a version of its near end.
#[derive(Debug, Serialize, Deserialize)]
pub struct WriteFarEnd {
    pub(super) kind: String,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) version: i64,
    pub(super) live: bool,
}

impl Job for WriteFarEnd {
    const NAME: &'static str = "tripod.write_far_end";
    /// About a day: a shard that is away longer than that needs a person anyway.
    const RETRIES: u32 = 30;
}

impl<C: AsRef<Graph> + Send + Sync + 'static> Run<C> for WriteFarEnd {
    async fn run(&mut self, context: &C, _: &JobRun) -> anyhow::Result<()> {
        let graph = context.as_ref();
        graph.write_far_end(self).await?;
        graph.changed(self).await?;
        Ok(())
    }
}
