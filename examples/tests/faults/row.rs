//! The table of what was provoked, what a user saw, and the figures: each test writes its row when it has passed, and `scripts/faults` makes
//! `docs/faults.md` of them.

use std::path::Path;
use std::time::Duration;

/// A row of `docs/faults.md`.
pub struct Row {
    id: u8,
    /// The fault, and how it was provoked.
    fault: &'static str,
    /// What it can touch.
    touches: &'static str,
    /// What must hold.
    must: &'static str,
    saw: Vec<String>,
    figures: Vec<String>,
    instead: Option<&'static str>,
}

/// All that stands on Redis, by both frameworks.
pub const ALL: &str = "sessions, limits, cache; axum, actix-web";

impl Row {
    pub const fn new(id: u8, fault: &'static str, touches: &'static str, must: &'static str) -> Self {
        Self { id, fault, touches, must, saw: Vec::new(), figures: Vec::new(), instead: None }
    }

    /// What a user saw.
    pub fn saw(mut self, what: impl Into<String>) -> Self {
        self.saw.push(what.into());
        self
    }

    pub fn figure(mut self, figure: impl Into<String>) -> Self {
        self.figures.push(figure.into());
        self
    }

    /// Why something else than what was wanted first is right.
    pub const fn instead(mut self, reason: &'static str) -> Self {
        self.instead = Some(reason);
        self
    }

    /// Writes it down.
    pub fn write(self) {
        // The short forms' figures are not those of the table.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(either("faults-short", "faults"));
        std::fs::create_dir_all(&folder).unwrap();
        let Self { id, fault, touches, must, .. } = self;
        let (saw, figures) = (self.saw.join("; "), self.figures.join("; "));
        let mut text = format!("| F{id} | {fault} | {touches} | {saw} | {figures} | {must} |\n");
        if let Some(reason) = self.instead {
            text += &format!("- **F{id}**: {reason}\n");
        }
        std::fs::write(folder.join(format!("F{id:02}.md")), text).unwrap();
    }
}

/// Whether the faults last as long as for the table, by `KEEP_FAULTS=long`; else they are short.
pub fn is_long() -> bool {
    std::env::var("KEEP_FAULTS").is_ok_and(|value| value == "long")
}

/// Whether each deadline is the default: in the long form, unless `KEEP_FAULTS_PATIENT` says that the machine is too busy for that.
pub fn has_default_deadlines() -> bool {
    is_long() && std::env::var_os("KEEP_FAULTS_PATIENT").is_none()
}

/// The short form, or the long one.
pub fn either<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

/// The same of times.
pub fn lasting(short_ms: u64, long_ms: u64) -> Duration {
    Duration::from_millis(either(short_ms, long_ms))
}

/// How a time stands in the table.
pub fn ms(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..10_000 => format!("{:.1} ms", micros as f64 / 1000.0),
        micros => format!("{} ms", micros / 1000),
    }
}
