//! Standard error and standard output, written by a thread each, so that nothing else waits for them.
//!
//! They may be a full disk, or a pipe that nobody reads. What can't be written, or does not fit into
//! the queue meanwhile, is dropped and counted: the service goes on. (`tracing-appender` counts only
//! what did not fit, and on shutdown itself writes to the standard error that may be blocked.)

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// The most bytes that wait for a reader: seconds of a busy service's log.
const QUEUE_BYTES: usize = 1024 * 1024;
/// How long the end of the process waits for what is still queued.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// A text stream whose writes never block and never fail; clones share it.
#[derive(Clone)]
pub(crate) struct Output(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    texts: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Whether the thread is writing a text, which is no longer among `texts`.
    is_writing: bool,
}

/// The process's standard error: the log.
pub(crate) fn stderr() -> &'static Output {
    static STDERR: OnceLock<Output> = OnceLock::new();
    STDERR.get_or_init(|| {
        let report =
            |dropped| tracing::warn!(dropped, "log lines were dropped: standard error blocked or failed");
        Output::start("stderr", io::stderr(), report)
    })
}

/// The process's standard output, for what a running service says.
pub(crate) fn stdout() -> &'static Output {
    static STDOUT: OnceLock<Output> = OnceLock::new();
    STDOUT.get_or_init(|| Output::start("stdout", io::stdout(), |_| {}))
}

impl Output {
    /// Starts the thread that writes to `sink`. It calls `report` with the number of dropped texts, once
    /// it can write again.
    fn start(
        name: &str,
        mut sink: impl Write + Send + 'static,
        report: impl Fn(u64) + Send + 'static,
    ) -> Self {
        let output = Self(Arc::default());
        let shared = output.0.clone();
        let run = move || {
            let mut reported = 0;
            loop {
                let text = shared.next();
                let written = sink.write_all(&text).and_then(|()| sink.flush());
                let has_room = shared.written(written.is_ok());
                let dropped = shared.dropped.load(Relaxed);
                if written.is_ok() && has_room && dropped > reported {
                    report(dropped - reported);
                    reported = dropped;
                }
            }
        };
        if std::thread::Builder::new().name(name.to_owned()).spawn(run).is_err() {
            // The machine is out of threads. The queue fills up, and what follows is counted as dropped.
            output.0.dropped.fetch_add(1, Relaxed);
        }
        output
    }

    /// Queues a text, or drops and counts it.
    pub(crate) fn send(&self, text: &[u8]) {
        let mut queue = self.0.lock();
        if queue.bytes + text.len() > QUEUE_BYTES {
            self.0.dropped.fetch_add(1, Relaxed);
            return;
        }
        queue.bytes += text.len();
        queue.texts.push_back(text.to_vec());
        self.0.changed.notify_all();
    }

    /// How many texts were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }

    /// Waits until everything is written, for a second at most.
    pub(crate) fn flush(&self) {
        let end = Instant::now() + FLUSH_TIMEOUT;
        let mut queue = self.0.lock();
        while queue.is_writing || !queue.texts.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.changed.wait_timeout(queue, left);
            (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next text.
    fn next(&self) -> Vec<u8> {
        let mut queue = self.lock();
        loop {
            if let Some(text) = queue.texts.pop_front() {
                queue.bytes -= text.len();
                queue.is_writing = true;
                return text;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends a write. Returns whether a report would fit into the queue.
    fn written(&self, is_written: bool) -> bool {
        if !is_written {
            self.dropped.fetch_add(1, Relaxed);
        }
        let mut queue = self.lock();
        queue.is_writing = false;
        self.changed.notify_all();
        queue.bytes < QUEUE_BYTES / 2
    }
}

/// For `tracing`'s formatter, which writes each line in one call.
impl Write for &Output {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.send(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = &'a Output;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A sink that takes a text, or fails, when the test says so.
    struct Sink(Receiver<bool>, Sender<String>);

    impl Write for Sink {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            match self.0.recv() {
                Ok(true) => {
                    self.1.send(String::from_utf8_lossy(text).into_owned()).unwrap();
                    Ok(text.len())
                }
                _ => Err(io::ErrorKind::StorageFull.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_does_not_fit_or_fails_is_counted_and_reported_once_it_can_be_written_again() {
        let ((allow, allowed), (text, texts), (report, reports)) = (channel(), channel(), channel());
        let output = Output::start("test", Sink(allowed, text), move |dropped| report.send(dropped).unwrap());
        output.send(b"first");
        allow.send(true).unwrap();
        assert_eq!(texts.recv().unwrap(), "first");
        output.flush();
        assert_eq!(output.dropped(), 0);

        output.send(b"fails");
        allow.send(false).unwrap();
        output.flush();
        assert_eq!(output.dropped(), 1);

        // The sink blocks with one line in its hands, and the queue fills up.
        let line = vec![b'x'; QUEUE_BYTES / 4];
        output.send(b"blocks");
        while !output.0.lock().is_writing {
            std::thread::yield_now();
        }
        (0..6).for_each(|_| output.send(&line));
        assert_eq!(output.dropped(), 3);
        let began = Instant::now();
        output.flush();
        assert!((FLUSH_TIMEOUT..2 * FLUSH_TIMEOUT).contains(&began.elapsed()), "{:?}", began.elapsed());

        (0..5).for_each(|_| allow.send(true).unwrap());
        assert_eq!(reports.recv().unwrap(), 3);
        output.flush();
        assert_eq!(texts.try_iter().count(), 5);
        assert!(reports.try_recv().is_err(), "it reports once");
    }
}
