//! What a test's own thread logs.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::Level;
use tracing::subscriber::DefaultGuard;

/// All events on this thread, at trace level, until it is dropped: with a current-thread runtime, those of its tasks as well.
#[derive(Debug)]
pub struct Log {
    text: Text,
    _guard: DefaultGuard,
}

#[derive(Clone, Debug, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Listens from now on.
    #[must_use]
    pub fn start() -> Self {
        let text = Text::default();
        let writer = text.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        Self { text, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// Everything so far.
    ///
    /// # Panics
    ///
    /// When a line is not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.text.0.lock().unwrap().clone()).unwrap()
    }

    /// The warnings and errors so far.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let loud = |line: &&str| line.contains(" WARN ") || line.contains("ERROR ");
        self.text().lines().filter(loud).map(str::to_owned).collect()
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
