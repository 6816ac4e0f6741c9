//! Limits on processing: cores, memory and waiting time.
//!
//! Invariants: whatever is uploaded, and however many uploads at once, the pixels being decoded fit the
//! memory budget; no caller waits past the deadline; permits are held until the work itself is over,
//! even if the caller is gone. A decode that has begun cannot be cancelled, because it runs on a thread;
//! its time is bounded by the size limits in `header`, not by a clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::header::{Header, MAX_DECODE_BYTES, MAX_SIDE_PIXELS};
use super::rendition::{DEFAULT_WIDTHS, Processed, process_drawn, process_with};
use crate::error::{Error, Result};

/// Bytes per memory permit, so that any budget fits the semaphore's `u32`.
const PERMIT_BYTES: u64 = 64 << 10;

/// The limits of a [`Processor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many pictures are processed concurrently. By default the number of cores.
    pub concurrency: usize,
    /// The memory for decoding and scaling all pictures together, in bytes. By default 192 MiB: one
    /// picture of the maximum size and an ordinary one beside it. A picture that needs all of it runs
    /// alone.
    pub memory_bytes: u64,
    /// How many pictures may wait; each keeps its upload in memory. By default 64.
    pub waiting: usize,
    /// How long a picture waits for its turn. By default 10 s, after which people have given up.
    pub wait: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            concurrency: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: MAX_DECODE_BYTES + (32 << 20),
            waiting: 64,
            wait: Duration::from_secs(10),
        }
    }
}

/// Runs [`process`](super::process) off the async threads, within [`Bounds`]. Clones share the limits.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let processor = tripod::media::Processor::default();
/// let error = processor.process("<svg/>".into()).await.unwrap_err();
/// assert!(error.is_unsupported());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Processor {
    shared: Arc<Shared>,
    /// The widths of renditions, largest first.
    widths: Arc<[u32]>,
}

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    places: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    cores: Arc<Semaphore>,
}

/// Held by the working thread, not by the caller.
struct Permits {
    _place: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
    _core: OwnedSemaphorePermit,
}

impl Default for Processor {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

impl Processor {
    /// A processor with its own limits; a process has one.
    pub fn new(bounds: Bounds) -> Self {
        let concurrency = bounds.concurrency.max(1);
        let memory = usize::try_from(bounds.memory_bytes / PERMIT_BYTES).unwrap_or(usize::MAX);
        Self {
            shared: Arc::new(Shared {
                bounds,
                places: Arc::new(Semaphore::new(concurrency.saturating_add(bounds.waiting))),
                memory: Arc::new(Semaphore::new(memory.clamp(1, u32::MAX as usize))),
                cores: Arc::new(Semaphore::new(concurrency)),
            }),
            widths: Arc::new(DEFAULT_WIDTHS),
        }
    }

    /// The same processor, but making renditions of these widths in pixels, in place of
    /// [`DEFAULT_WIDTHS`]. They go from the largest to the smallest; there must be at least one.
    #[must_use]
    pub fn with_widths(self, widths: &[u32]) -> Self {
        Self { widths: widths.into(), ..self }
    }

    /// Waits for its turn, then makes renditions of an upload.
    ///
    /// # Errors
    ///
    /// The errors of [`process`](super::process), those from the header without waiting; and
    /// `is_overloaded` if too many pictures are waiting or its turn did not come in time.
    pub async fn process(&self, bytes: Bytes) -> Result<Processed> {
        let header = Header::read(&bytes)?;
        let widths = self.widths.clone();
        let permits = self.permits(working_bytes(&header, widths[0])).await?;
        let work = tokio::task::spawn_blocking(move || {
            let processed = process_with(&bytes, &header, &widths);
            drop(permits);
            processed
        });
        work.await.map_err(|error| Error::internal("processing a picture failed").because(error))?
    }

    /// Makes renditions of a picture that the program drew itself, in its turn. The pixels are four
    /// bytes each, row by row; the fourth byte is ignored.
    ///
    /// # Errors
    ///
    /// `is_internal` if there are fewer pixels than `width` times `height`; `is_overloaded` as in
    /// [`Processor::process`].
    pub async fn process_drawn(&self, width: u32, height: u32, pixels: Vec<u8>) -> Result<Processed> {
        let (widths, permits) = (self.widths.clone(), self.permits(pixels.len() as u64 * 2).await?);
        let work = tokio::task::spawn_blocking(move || {
            let processed = process_drawn(width, height, pixels, &widths);
            drop(permits);
            processed
        });
        work.await.map_err(|error| Error::internal("processing a picture failed").because(error))?
    }

    /// Memory is acquired before a core, so that no core is idle while its picture waits for memory.
    async fn permits(&self, working_bytes: u64) -> Result<Permits> {
        let Shared { bounds, places, memory, cores } = &*self.shared;
        let place = Arc::clone(places)
            .try_acquire_owned()
            .map_err(|_| busy("too many pictures are waiting to be processed"))?;
        let most = (bounds.memory_bytes / PERMIT_BYTES).clamp(1, u64::from(u32::MAX));
        let weight = working_bytes.div_ceil(PERMIT_BYTES).clamp(1, most) as u32;
        let turn = async {
            let memory = Arc::clone(memory).acquire_many_owned(weight).await;
            (memory, Arc::clone(cores).acquire_owned().await)
        };
        match timeout_at(Instant::now() + bounds.wait, turn).await {
            Ok((Ok(memory), Ok(core))) => Ok(Permits { _place: place, _memory: memory, _core: core }),
            Ok(_) => Err(Error::internal("the semaphores of a media processor are closed")),
            Err(_) => Err(busy("this picture's turn to be processed did not come in time")),
        }
    }
}

fn busy(what: &str) -> Error {
    Error::overloaded(format!("{what}; please try again in a moment"))
}

/// The decoder's share, and the memory for the first scaling while the decoded pixels still exist: the
/// picture at its new width and old height, which the scaler keeps between its two passes.
fn working_bytes(header: &Header, largest_width: u32) -> u64 {
    let width = header.width.min(largest_width);
    let height = header.height.min(MAX_SIDE_PIXELS);
    header.decode_bytes + u64::from(width) * u64::from(height) * 3
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::media::samples;

    fn bounds() -> Bounds {
        Bounds { concurrency: 2, ..Bounds::default() }
    }

    #[tokio::test]
    async fn a_picture_is_processed() {
        let processed = Processor::default().process(samples::jpeg(700, 500, false).into()).await;
        assert_eq!(processed.unwrap().width, 700);
    }

    #[tokio::test]
    async fn a_drawn_picture_is_processed() {
        let pixels = [10, 200, 30, 255].repeat(700 * 500);
        let processed = Processor::default().process_drawn(700, 500, pixels).await.unwrap();
        let sizes = |processed: &Processed| -> Vec<_> {
            processed.renditions.iter().map(|one| (one.width, one.height)).collect()
        };
        assert_eq!(sizes(&processed), [(700, 500), (640, 457), (320, 229)]);
        let small = Processor::default().with_widths(&[350, 70]);
        let small = small.process(samples::jpeg(700, 500, false).into()).await.unwrap();
        assert_eq!(sizes(&small), [(350, 250), (70, 50)]);
        let shown = image::load_from_memory(&processed.renditions[0].bytes).unwrap().into_rgb8();
        let color = shown.get_pixel(350, 250).0;
        assert!(color.iter().zip([10, 200, 30]).all(|(a, b)| a.abs_diff(b) < 4), "{color:?}");
        let short = Processor::default().process_drawn(700, 500, vec![0; 5]).await.unwrap_err();
        assert!(short.is_internal(), "{short}");
    }

    #[tokio::test]
    async fn past_the_deadline_it_is_overload() {
        let processor = Processor::new(Bounds { wait: Duration::from_millis(20), ..bounds() });
        let _cores = processor.shared.cores.acquire_many(2).await.unwrap();
        let error = processor.process(samples::jpeg(70, 50, false).into()).await.unwrap_err();
        assert!(error.is_overloaded() && error.to_string().contains("in time"), "{error}");
        // A caller that gave up has returned all its permits.
        assert_eq!(processor.shared.places.available_permits(), 2 + 64);
    }

    #[tokio::test]
    async fn beyond_the_queue_it_is_overload_at_once() {
        let processor = Processor::new(Bounds { waiting: 0, ..bounds() });
        let _places = processor.shared.places.acquire_many(2).await.unwrap();
        let error = processor.process(samples::jpeg(70, 50, false).into()).await.unwrap_err();
        assert!(error.is_overloaded() && error.to_string().contains("too many"), "{error}");
    }

    #[tokio::test]
    async fn a_picture_larger_than_the_budget_runs_alone() {
        let processor = Processor::new(Bounds { memory_bytes: PERMIT_BYTES, ..bounds() });
        processor.process(samples::jpeg(1_000, 700, false).into()).await.unwrap();
        assert_eq!(processor.shared.memory.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_keeps_its_permits_until_the_work_is_over() {
        let processor = Processor::new(bounds());
        let large = Bytes::from(samples::jpeg(2_000, 2_000, false));
        let gone = tokio::time::timeout(Duration::from_micros(1), processor.process(large)).await;
        assert!(gone.is_err());
        let all = processor.shared.cores.acquire_many(2);
        tokio::time::timeout(Duration::from_secs(60), all).await.unwrap().unwrap().forget();
    }

    /// Sixteen at once, each of which needs most of the budget, run one after another.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sixteen_bombs_at_once_stay_within_the_budget() {
        // 3,000 x 3,000 of RGBA, under a megabyte: 34 MiB to decode, and two do not fit 60 MiB.
        let bomb = Bytes::from(samples::png_of_zeros(3_000, 3_000));
        let header = Header::read(&bomb).unwrap();
        assert!(bomb.len() < 1_000_000 && header.decode_bytes > 34 << 20);
        let processor = Processor::new(Bounds { memory_bytes: 60 << 20, concurrency: 16, ..bounds() });
        let memory = Peak::start();
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                tokio::spawn({
                    let (processor, bomb) = (processor.clone(), bomb.clone());
                    async move { processor.process(bomb).await }
                })
            })
            .collect();
        for task in tasks {
            match task.await.unwrap() {
                Ok(processed) => assert_eq!(processed.width, 1080),
                Err(error) => assert!(error.is_overloaded(), "{error:?}"),
            }
        }
        // Other tests of this process run concurrently; they are small.
        let grown = memory.stop();
        assert!(grown < 128 << 20, "{} MiB", grown >> 20);
    }

    /// Watches how much the resident memory of this process grows; Linux only.
    struct Peak {
        over: Arc<AtomicBool>,
        watcher: std::thread::JoinHandle<u64>,
    }

    impl Peak {
        fn start() -> Self {
            let over = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&over);
            let before = resident_bytes();
            let watcher = std::thread::spawn(move || {
                let mut most = before;
                while !seen.load(Ordering::Relaxed) {
                    most = most.max(resident_bytes());
                    std::thread::sleep(Duration::from_millis(1));
                }
                most - before
            });
            Self { over, watcher }
        }

        fn stop(self) -> u64 {
            self.over.store(true, Ordering::Relaxed);
            self.watcher.join().unwrap()
        }
    }

    fn resident_bytes() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        kibibytes.unwrap_or(0_u64) << 10
    }
}
