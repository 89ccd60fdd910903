//! Removing what apalis keeps of jobs that have ended: it would keep it for ever.

use std::sync::Arc;
use std::time::Duration;

use crate::jobs::Queue;

const EVERY: Duration = Duration::from_secs(1);
/// How many at once.
const BATCH: usize = 100;
/// How many dead jobs stay where apalis' own tools look for them.
const DEAD: usize = 1000;

/// Sweeps until it is dropped. What fails is tried again at the next turn.
pub(crate) async fn sweep(queue: Arc<Queue>) {
    loop {
        tokio::time::sleep(EVERY).await;
        for (set, spared) in [(queue.config.done_jobs_set(), 0), (queue.config.dead_jobs_set(), DEAD)] {
            while matches!(remove(&queue, &set, spared).await, Ok(BATCH)) {}
        }
    }
}

/// Removes up to [`BATCH`] jobs of a set, with all that belongs to them, and gives how many.
async fn remove(queue: &Queue, set: &str, spared: usize) -> redis::RedisResult<usize> {
    let mut raw = queue.raw.clone();
    let count: usize = redis::cmd("SCARD").arg(set).query_async(&mut raw).await?;
    let most = count.saturating_sub(spared).min(BATCH);
    if most == 0 {
        return Ok(0);
    }
    let ids: Vec<String> = redis::cmd("SRANDMEMBER").arg(set).arg(most).query_async(&mut raw).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let meta = queue.config.job_meta_hash();
    let keys: Vec<String> = ids.iter().map(|id| format!("{meta}:{id}")).collect();
    let mut pipe = redis::pipe();
    pipe.atomic()
        .del(keys)
        .ignore()
        .hdel(queue.config.job_data_hash(), &ids)
        .ignore()
        .srem(set, &ids)
        .ignore();
    pipe.query_async::<()>(&mut raw).await?;
    Ok(ids.len())
}
