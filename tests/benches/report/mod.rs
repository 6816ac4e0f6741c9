//! What the benches print: a table for people, or with `--json` one object a line.

#![allow(dead_code, reason = "each bench is a crate of its own and uses its part of this")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What a figure has to reach.
#[derive(Clone, Copy, Debug)]
pub enum Bar {
    /// Its ratio to what it stands beside, at least this much.
    RatioAtLeast(f64),
    /// Its ratio to what it stands beside, at most this much.
    RatioAtMost(f64),
    /// Its value, at most this much.
    ValueAtMost(f64),
    /// Its value, at least this much.
    ValueAtLeast(f64),
}

/// A number, and what it stands beside.
#[derive(Debug)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    against: Option<(String, f64)>,
    /// Measured by the bench in pairs; otherwise value by value.
    ratio: Option<f64>,
    bar: Option<Bar>,
}

impl Figure {
    fn ratio(&self) -> Option<f64> {
        self.ratio.or_else(|| self.against.as_ref().map(|(_, against)| self.value / against))
    }

    fn pass(&self) -> Option<bool> {
        match self.bar? {
            Bar::RatioAtLeast(least) => self.ratio().map(|ratio| ratio >= least),
            Bar::RatioAtMost(most) => self.ratio().map(|ratio| ratio <= most),
            Bar::ValueAtMost(most) => Some(self.value <= most),
            Bar::ValueAtLeast(least) => Some(self.value >= least),
        }
    }

    fn bar_text(&self) -> Option<(String, &'static str)> {
        self.bar.map(|bar| match bar {
            Bar::RatioAtLeast(least) => (format!(">= {least}"), "ratio"),
            Bar::RatioAtMost(most) => (format!("<= {most}"), "ratio"),
            Bar::ValueAtMost(most) => (format!("<= {most}"), "value"),
            Bar::ValueAtLeast(least) => (format!(">= {least}"), "value"),
        })
    }

    fn json(&self) -> Value {
        let bar = self.bar_text();
        json!({
            "figure": self.name,
            "value": rounded(self.value),
            "unit": self.unit,
            "against": self.against.as_ref().map(|(name, _)| name),
            "against_value": self.against.as_ref().map(|(_, value)| rounded(*value)),
            "ratio": self.ratio().map(rounded),
            "bar": bar.as_ref().map(|(text, _)| text),
            "of": bar.as_ref().map(|(_, of)| of),
            "pass": self.pass(),
        })
    }

    fn row(&self) -> [String; 6] {
        let (against, against_value) = match &self.against {
            Some((name, value)) => (name.clone(), number(*value)),
            None => (String::new(), String::new()),
        };
        let verdict = match (self.bar_text(), self.pass()) {
            (Some((bar, of)), Some(true)) => format!("{of} {bar}: passes"),
            (Some((bar, of)), _) => format!("{of} {bar}: misses"),
            (None, _) => "no bar".to_owned(),
        };
        let ratio = self.ratio().map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
        [
            self.name.clone(),
            format!("{} {}", number(self.value), self.unit),
            against,
            against_value,
            ratio,
            verdict,
        ]
    }
}

/// The figures of one bench.
#[derive(Debug, Default)]
pub struct Report {
    figures: Vec<Figure>,
    notes: Vec<String>,
}

impl Report {
    /// Without any figure yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A figure that stands alone.
    pub fn alone(&mut self, name: impl Into<String>, value: f64, unit: &'static str, bar: Option<Bar>) {
        self.figures.push(Figure { name: name.into(), value, unit, against: None, ratio: None, bar });
    }

    /// A figure beside its peer or its ceiling.
    pub fn beside(
        &mut self,
        name: impl Into<String>,
        (value, unit): (f64, &'static str),
        (against, against_value): (impl Into<String>, f64),
        bar: Option<Bar>,
    ) {
        let against = Some((against.into(), against_value));
        self.figures.push(Figure { name: name.into(), value, unit, against, ratio: None, bar });
    }

    /// As [`Self::beside`], of rounds in which both were measured one after the other: medians,
    /// and as ratio the median of the rounds' ratios, which what disturbs a whole round leaves alone.
    pub fn rounds(
        &mut self,
        name: impl Into<String>,
        (values, unit): (&[f64], &'static str),
        (against, against_values): (impl Into<String>, &[f64]),
        bar: Option<Bar>,
    ) {
        let ratios: Vec<f64> =
            values.iter().zip(against_values).map(|(value, against)| value / against).collect();
        let against = Some((against.into(), median(against_values)));
        let (value, ratio) = (median(values), Some(median(&ratios)));
        self.figures.push(Figure { name: name.into(), value, unit, against, ratio, bar });
    }

    /// A sentence for the people who read the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Prints all figures to standard output: as JSON when the arguments ask for it.
    pub fn print(&self) {
        if has_argument("--json") {
            for figure in &self.figures {
                println!("{}", figure.json());
            }
            return;
        }
        let head = ["figure", "value", "against", "its value", "ratio", "bar"].map(str::to_owned);
        let rows: Vec<[String; 6]> =
            std::iter::once(head).chain(self.figures.iter().map(Figure::row)).collect();
        let widths: [usize; 6] = std::array::from_fn(|column| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        });
        for row in rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        for note in &self.notes {
            println!("  {note}");
        }
    }
}

/// Whether an argument was given after `--`.
pub fn has_argument(name: &str) -> bool {
    std::env::args().skip(1).any(|argument| argument == name)
}

/// Says on standard error what is going on, as a bench may take minutes.
pub fn progress(text: &str) {
    eprintln!("  {text}");
}

/// The middle value; of an even number of values the lower one of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

/// The value that so many in a hundred do not exceed (nearest rank).
pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// The result of `work`, and how long it took.
pub fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// A duration in milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Six significant digits: more is noise.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// For people: three decimals when small, groups of three digits when large.
fn number(value: f64) -> String {
    if !value.is_finite() || value.abs() < 10.0 {
        return format!("{value:.3}");
    }
    if value.abs() < 1_000.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
