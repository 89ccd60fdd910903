//! Who signs in, asked for each time a connection is opened: a password can change while the application runs.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::error::{StoreError, StoreErrorKind};

/// What is longer is no password.
const LONGEST: u64 = 4096;

/// Who signs in at Redis: for [`StoreBuilder::credentials`](super::StoreBuilder::credentials). Its `Debug` shows neither user nor password.
///
/// ```
/// use std::time::Duration;
/// use tower_keep::store::Credentials;
///
/// let token = Credentials::of_user("app", "a token").valid_for(Duration::from_secs(900));
/// assert!(!format!("{token:?}").contains("a token"));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Credentials {
    pub(super) username: Option<String>,
    pub(super) password: String,
    pub(super) life: Option<Duration>,
}

impl Credentials {
    /// A password, for the user that stands in the URL, the settings or the [`Sentinels`](super::Sentinels), else for Redis' `default`.
    pub fn password(password: impl Into<String>) -> Self {
        Self { username: None, password: password.into(), life: None }
    }

    /// A user and the password.
    pub fn of_user(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: Some(username.into()), password: password.into(), life: None }
    }

    /// For how long they count from now on, at least 1 s. A connection that signed in with them is replaced, by one with new credentials,
    /// after three quarters of that and up to an eighth more by chance; what is under way on it is answered there. Without this, a
    /// connection lives as long as the server leaves it open, up to 30 minutes.
    pub fn valid_for(mut self, life: Duration) -> Self {
        self.life = Some(life.max(Duration::from_secs(1)));
        self
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("valid_for", &self.life).finish_non_exhaustive()
    }
}

type Given = Pin<Box<dyn Future<Output = Result<Credentials, StoreError>> + Send>>;

/// Where credentials come from.
#[derive(Clone)]
pub(super) struct Provider(Arc<dyn Fn() -> Given + Send + Sync>);

impl Provider {
    pub(super) fn new<F, E>(provide: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self(Arc::new(move || {
            let given = provide();
            Box::pin(async move { given.await.map_err(|error| refused(error.into())) })
        }))
    }

    /// The text of a file, read anew each time: a mounted secret is exchanged while the application runs.
    pub(super) fn file(path: PathBuf) -> Self {
        let path: Arc<Path> = path.into();
        Self::new(move || {
            let path = Arc::clone(&path);
            async move { tokio::task::spawn_blocking(move || read(&path)).await.map_err(NotReadable::from)? }
        })
    }

    /// Asks, in a task of its own: what panics there is an error here. The caller bounds the time.
    pub(super) async fn ask(&self) -> Result<Credentials, StoreError> {
        let provide = Arc::clone(&self.0);
        let mut task = tokio::task::JoinSet::new(); // ends the task if nobody waits any more
        task.spawn(async move { provide().await });
        match task.join_next().await {
            Some(Ok(given)) => given,
            Some(Err(ended)) => Err(StoreError::with_source(StoreErrorKind::Auth, ended)),
            None => Err(StoreErrorKind::Auth.into()),
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}

fn refused(error: Box<dyn StdError + Send + Sync>) -> StoreError {
    StoreError::with_boxed(StoreErrorKind::Auth, error)
}

/// Why a file is no password. Repeats nothing of it.
#[derive(Debug, thiserror::Error)]
enum NotReadable {
    #[error("the password file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("the password file was not read to its end")]
    Cancelled(#[from] tokio::task::JoinError),
    #[error("the password file is empty, longer than 4096 bytes, or no text in utf-8")]
    NoPassword,
}

/// One line end at the end is not the password's: editors and `echo` write it.
fn read(path: &Path) -> Result<Credentials, NotReadable> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|_| NotReadable::NoPassword)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let is_short = u64::try_from(text.len()).is_ok_and(|length| length <= LONGEST);
    if line.is_empty() || !is_short { Err(NotReadable::NoPassword) } else { Ok(Credentials::password(line)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_anew_each_time_and_tells_nothing_when_it_is_no_password() {
        let path = std::env::temp_dir().join(format!("keep-credentials-{}", std::process::id()));
        let provider = Provider::file(path.clone());
        for (text, password) in [
            ("one", Some("one")),
            ("two\n", Some("two")),
            ("3\r\n", Some("3")),
            (" 4 \n\n", Some(" 4 \n")),
            ("\n", None),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(
                provider.ask().await.ok().map(|given| given.password).as_deref(),
                password,
                "{text:?}"
            );
        }
        for bytes in [vec![b'x'; 4097], vec![0xFF, b'c', b'a', b'n', b'a', b'r', b'y']] {
            std::fs::write(&path, bytes).unwrap();
            let error = provider.ask().await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Auth);
            assert!(!format!("{error} {error:?} {:?}", error.source()).contains("canary"));
        }
        std::fs::remove_file(&path).unwrap();
        assert!(provider.ask().await.unwrap_err().source().unwrap().to_string().contains("cannot be read"));
    }

    #[tokio::test]
    async fn what_panics_or_fails_is_an_error_with_its_cause() {
        let panics =
            Provider::new(|| -> std::future::Ready<Result<Credentials, StoreError>> { panic!("no vault") });
        assert_eq!(panics.ask().await.unwrap_err().kind(), StoreErrorKind::Auth);
        let fails = Provider::new(|| async { Err::<Credentials, _>("the vault is sealed") });
        assert_eq!(fails.ask().await.unwrap_err().source().unwrap().to_string(), "the vault is sealed");
    }
}
