//! A 12-megapixel photo: what a post of it takes and where the time goes, beside `vipsthumbnail`
//! making the same three sizes.

mod report;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use report::{Report, median, ms, progress, timed};
use tripod::media::{DEFAULT_WIDTHS, Timings, process};
use tripod_tests::{Person, PhotoPost, Server, photo};

const WIDTH: u16 = 4_032;
const HEIGHT: u16 = 3_024;
const ROUNDS: usize = 10;
/// Rounds of two at once, and photos of each of the two in a round.
const PAIR_ROUNDS: usize = 5;
const PAIR_PHOTOS: usize = 4;

#[tokio::main]
async fn main() -> Result<()> {
    let vips = Vips::new()?;
    progress("drawing a photo");
    let large = photo_of_12_megapixels()?;
    let tiny = photo::jpeg(64, 48, 1);
    vips.keep("large.jpg", &large)?;
    vips.keep("tiny.jpg", &tiny)?;
    let server = Server::start().await;
    let author = server.person("author").await;

    let mut measured = Measured::default();
    for round in 0..=ROUNDS {
        let post = post(&author, &large).await?;
        let parts = process(&large, &DEFAULT_WIDTHS)?.timings;
        let others = ms(vips.thumbnails("large.jpg")?);
        let post_tiny = self::post(&author, &tiny).await?;
        let starts = ms(vips.thumbnails("tiny.jpg")?);
        // The first round warms up.
        if round > 0 {
            measured.add(post, parts, others, post_tiny, starts);
            progress(&format!("round {round} of {ROUNDS}: {post:.0} ms, vipsthumbnail {others:.0} ms"));
        }
    }
    let (mut posts, mut thumbnails) = (vec![], vec![]);
    for round in 1..=PAIR_ROUNDS {
        posts.push(posts_a_second(&author, &large).await?);
        thumbnails.push(vips.photos_a_second()?);
        progress(&format!("round {round} of {PAIR_ROUNDS}, two at once: {:.2} posts/s", posts[round - 1]));
    }

    let mut report = Report::new();
    measured.report(&mut report);
    let peer = "vipsthumbnail, three sizes";
    report.rounds("upload, two at once, rate", (&posts, "posts/s"), (peer, &thumbnails), None);
    report.note(format!(
        "{WIDTH} x {HEIGHT}, {:.1} MB of JPEG; the middle of {ROUNDS} rounds",
        large.len() as f64 / 1e6,
    ));
    report
        .note("a post also crosses HTTP, is stored durably and committed; vipsthumbnail writes three files");
    report.note("vipsthumbnail uses every core for one photo; a post uses one");
    report.print();
    Ok(())
}

/// Milliseconds, a list of rounds each.
#[derive(Default)]
struct Measured {
    post: Vec<f64>,
    decode: Vec<f64>,
    resize: Vec<f64>,
    encode: Vec<f64>,
    parts: Vec<f64>,
    rest: Vec<f64>,
    tiny: Vec<f64>,
    vips: Vec<f64>,
    vips_working: Vec<f64>,
    vips_starts: Vec<f64>,
}

impl Measured {
    fn add(&mut self, post: f64, parts: Timings, vips: f64, tiny: f64, starts: f64) {
        let Timings { decode, resize, encode } = parts;
        let sum = ms(decode + resize + encode);
        self.post.push(post);
        self.decode.push(ms(decode));
        self.resize.push(ms(resize));
        self.encode.push(ms(encode));
        self.parts.push(sum);
        self.rest.push(post - sum);
        self.tiny.push(tiny);
        self.vips.push(vips);
        self.vips_working.push(vips - starts);
        self.vips_starts.push(starts);
    }

    fn report(&self, report: &mut Report) {
        let peer = "vipsthumbnail, three sizes";
        report.rounds("upload, whole post", (&self.post, "ms"), (peer, &self.vips), None);
        let working = "vipsthumbnail, less its starts";
        report.rounds("upload, picture work", (&self.parts, "ms"), (working, &self.vips_working), None);
        for (name, values) in [
            ("upload, part: decode", &self.decode),
            ("upload, part: resize", &self.resize),
            ("upload, part: encode", &self.encode),
            ("upload, rest: HTTP, files and database", &self.rest),
            ("upload, post of a 64 x 48 photo", &self.tiny),
        ] {
            report.alone(name, median(values), "ms", None);
        }
        report.note(format!(
            "three starts of vipsthumbnail on a 64 x 48 photo: {:.0} ms",
            median(&self.vips_starts)
        ));
    }
}

/// Milliseconds until a post of this photo is acknowledged.
async fn post(author: &Person, photo: &[u8]) -> Result<f64> {
    let request = author.publishing(&PhotoPost::of([photo.to_vec()]).caption("From the bench."));
    let start = std::time::Instant::now();
    let reply = request.send().await?;
    let status = reply.status();
    reply.bytes().await?;
    ensure!(status == 201, "a post was answered {status}");
    Ok(ms(start.elapsed()))
}

/// Two clients, each posting one photo after the other.
async fn posts_a_second(author: &Person, photo: &[u8]) -> Result<f64> {
    let client = async || {
        for _ in 0..PAIR_PHOTOS {
            post(author, photo).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let start = std::time::Instant::now();
    try_join_all([client(), client()]).await?;
    Ok(2.0 * PAIR_PHOTOS as f64 / start.elapsed().as_secs_f64())
}

/// The peer, in a directory of its own.
struct Vips {
    directory: tempfile::TempDir,
}

impl Vips {
    fn new() -> Result<Self> {
        let found = Command::new("vipsthumbnail").arg("--version").stdout(Stdio::null()).status();
        found.context("vipsthumbnail is not installed: install the package libvips-tools")?;
        Ok(Self { directory: tempfile::tempdir()? })
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Result<()> {
        Ok(std::fs::write(self.directory.path().join(name), bytes)?)
    }

    /// How long the sizes of our renditions take: one process each, as it makes one size.
    fn thumbnails(&self, name: &str) -> Result<Duration> {
        let into = tempfile::tempdir_in(self.directory.path())?;
        let (made, time) =
            timed(|| DEFAULT_WIDTHS.iter().try_for_each(|width| self.one(name, *width, into.path())));
        made.map(|()| time)
    }

    fn one(&self, name: &str, width: u32, into: &Path) -> Result<()> {
        let made = into.join(format!("{width}.jpg"));
        let status = Command::new("vipsthumbnail")
            .arg(self.directory.path().join(name))
            .args(["--size", &format!("{width}x"), "-o"])
            .arg(format!("{}[Q=82,strip]", made.display()))
            .status()?;
        ensure!(status.success() && made.exists(), "vipsthumbnail failed");
        Ok(())
    }

    /// Two threads, each making the sizes of one photo after the other.
    fn photos_a_second(&self) -> Result<f64> {
        let work = || (0..PAIR_PHOTOS).try_for_each(|_| self.thumbnails("large.jpg").map(drop));
        let (made, time) = timed(|| {
            std::thread::scope(|scope| {
                let threads = [scope.spawn(work), scope.spawn(work)];
                threads.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
            })
        });
        made.map(|()| 2.0 * PAIR_PHOTOS as f64 / time.as_secs_f64())
    }
}

/// As a phone takes it: wide gradients, edges, and fine texture and noise that keep a JPEG of
/// quality 90 at about 4 MB, with the colour at half the resolution.
fn photo_of_12_megapixels() -> Result<Vec<u8>> {
    let (width, height) = (usize::from(WIDTH), usize::from(HEIGHT));
    let mut pixels = Vec::with_capacity(width * height * 3);
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    for y in 0..height {
        for x in 0..width {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
            let hill = if v > 0.6 + 0.1 * (u * 9.0).sin() { 60.0 } else { 0.0 };
            let texture = 6.0 * (x as f32 * 0.35 + (y as f32 * 0.21).sin() * 3.0).sin() * v;
            let grain = ((noise >> 40) as f32 / (1 << 24) as f32 - 0.5) * GRAIN;
            let light = 60.0 + 120.0 * (1.0 - v) + 30.0 * (u * 4.0).sin() - hill + texture + grain;
            for channel in [light + 10.0 * u, light, light + 40.0 * (1.0 - v)] {
                pixels.push(channel.clamp(0.0, 255.0) as u8);
            }
        }
    }
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 90);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode(&pixels, WIDTH, HEIGHT, ColorType::Rgb)?;
    ensure!((3_000_000..5_000_000).contains(&jpeg.len()), "the photo has {} bytes", jpeg.len());
    Ok(jpeg)
}

/// Levels of brightness between the darkest and the lightest noise.
const GRAIN: f32 = 24.0;
