//! A store's settings as a value: from a file by serde, or from the environment.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::error::ConfigError;
use super::key::KeyPrefix;
use super::redis::Target;
use super::{Replicas, Store, StoreBuilder};

/// The settings of a store, from a file in any format of serde or from the [environment](Self::from_env). What is not given keeps the
/// [builder's](StoreBuilder) default; unknown fields are errors. Its `Debug` shows neither user nor password.
///
/// ```
/// use tower_keep::store::StoreConfig;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = r#"{"url": "redis://redis.internal/3", "password": "hunter2", "prefix": "shop", "deadline_ms": 100}"#;
/// let config: StoreConfig = serde_json::from_str(file)?;
/// assert!(!format!("{config:?}").contains("hunter2"));
/// let store = config.open()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreConfig {
    /// Where Redis is: `redis://`, `rediss://` (feature `tls`) or `redis+unix://`. None or an empty one: the embedded store.
    pub url: Option<String>,
    /// Who signs in, where it does not stand in the URL.
    pub username: Option<String>,
    /// The password, where it does not stand in the URL.
    pub password: Option<String>,
    /// The file whose text is the password, see [`StoreBuilder::password_file`]; not together with `password`.
    pub password_file: Option<PathBuf>,
    /// See [`StoreBuilder::client_name`].
    pub client_name: Option<String>,
    /// What all keys begin with.
    pub prefix: Option<String>,
    /// See [`StoreBuilder::pool_size`].
    pub pool_size: Option<u32>,
    /// See [`StoreBuilder::max_waiting`].
    pub max_waiting: Option<usize>,
    /// See [`StoreBuilder::deadline`], in milliseconds.
    pub deadline_ms: Option<u64>,
    /// See [`StoreBuilder::connect_timeout`], in milliseconds.
    pub connect_timeout_ms: Option<u64>,
    /// See [`StoreBuilder::probe_interval`], in milliseconds.
    pub probe_interval_ms: Option<u64>,
    /// How many replicas must confirm what must last, see [`StoreBuilder::replicas`]; 0 or none: it waits for none.
    pub replicas: Option<u32>,
}

/// Which setting cannot work, and why. Repeats no value: it may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {error}")]
#[non_exhaustive]
pub struct StoreConfigError {
    /// The field, or the variable of the environment.
    pub setting: String,
    /// Why.
    #[source]
    pub error: ConfigError,
}

impl StoreConfig {
    /// Settings from variables of the environment that begin with `prefix` and `_`: with `REDIS` they are `REDIS_URL`,
    /// `REDIS_USERNAME`, `REDIS_PASSWORD`, `REDIS_PASSWORD_FILE`, `REDIS_CLIENT_NAME`, `REDIS_PREFIX`, `REDIS_POOL_SIZE`, `REDIS_MAX_WAITING`, `REDIS_DEADLINE_MS`,
    /// `REDIS_CONNECT_TIMEOUT_MS`,
    /// `REDIS_PROBE_INTERVAL_MS` and `REDIS_REPLICAS`. Empty ones count as not given; others are not looked at.
    ///
    /// # Errors
    ///
    /// A [`StoreConfigError`] that names the variable which is no number or no text.
    pub fn from_env(prefix: &str) -> Result<Self, StoreConfigError> {
        Self::from_lookup(prefix, |name| match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(ConfigError::NotReadable),
        })
    }

    /// The same from any source of variables.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env), and what the source says.
    pub fn from_lookup(
        prefix: &str,
        lookup: impl Fn(&str) -> Result<Option<String>, ConfigError>,
    ) -> Result<Self, StoreConfigError> {
        let text = |name: &str| {
            let setting = format!("{prefix}_{name}");
            match lookup(&setting) {
                Ok(value) => Ok((setting, value.filter(|value| !value.is_empty()))),
                Err(error) => Err(StoreConfigError { setting, error }),
            }
        };
        let number = |name: &str| {
            let (setting, value) = text(name)?;
            let number = value.map(|value| value.parse::<u32>()).transpose();
            number.map_err(|_| StoreConfigError { setting, error: ConfigError::NotReadable })
        };
        let ms = |name: &str| Ok(number(name)?.map(u64::from));
        Ok(Self {
            url: text("URL")?.1,
            username: text("USERNAME")?.1,
            password: text("PASSWORD")?.1,
            password_file: text("PASSWORD_FILE")?.1.map(PathBuf::from),
            client_name: text("CLIENT_NAME")?.1,
            prefix: text("PREFIX")?.1,
            pool_size: number("POOL_SIZE")?,
            max_waiting: number("MAX_WAITING")?.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
            deadline_ms: ms("DEADLINE_MS")?,
            connect_timeout_ms: ms("CONNECT_TIMEOUT_MS")?,
            probe_interval_ms: ms("PROBE_INTERVAL_MS")?,
            replicas: number("REPLICAS")?,
        })
    }

    /// The store: on Redis at `url`, or embedded without one. Returns at once, as [`StoreBuilder::connect`] does.
    ///
    /// # Errors
    ///
    /// A [`StoreConfigError`] that names the field.
    pub fn open(&self) -> Result<Store, StoreConfigError> {
        self.open_with(Store::builder())
    }

    /// The same with settings that no file has: certificates, a runtime. What is given here goes before what is set there.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(&self, builder: StoreBuilder) -> Result<Store, StoreConfigError> {
        let of = |setting: &str| {
            let setting = setting.to_owned();
            move |error| StoreConfigError { setting, error }
        };
        let prefix = self.prefix.as_deref().map(KeyPrefix::new).transpose().map_err(of("prefix"))?;
        let Some(url) = self.url.as_deref().filter(|url| !url.is_empty()) else {
            let store = Store::in_memory();
            return Ok(match prefix {
                Some(prefix) => store.with_prefix(prefix),
                None => store,
            });
        };
        if self.password.is_some() && self.password_file.is_some() {
            return Err(of("password_file")(ConfigError::Twice("password", "password_file")));
        }
        let target = Target::parse(url).map_err(of("url"))?;
        let target = target.signed_in(self.username.as_deref(), self.password.as_deref());
        self.set(builder, prefix).connect_to(target).map_err(|error| match error {
            ConfigError::OutOfRange(name) => {
                let unit = if self.is_time(name) { "_ms" } else { "" };
                StoreConfigError { setting: format!("{name}{unit}"), error }
            }
            ConfigError::ClientName => of("client_name")(error),
            error => of("url")(error),
        })
    }

    fn is_time(&self, name: &str) -> bool {
        matches!(name, "deadline" | "connect_timeout" | "probe_interval")
    }

    fn set(&self, mut builder: StoreBuilder, prefix: Option<KeyPrefix>) -> StoreBuilder {
        let ms = Duration::from_millis;
        if let Some(prefix) = prefix {
            builder = builder.prefix(prefix);
        }
        if let Some(path) = &self.password_file {
            builder = builder.password_file(path);
        }
        if let Some(name) = &self.client_name {
            builder = builder.client_name(name);
        }
        if let Some(connections) = self.pool_size {
            builder = builder.pool_size(connections);
        }
        if let Some(requests) = self.max_waiting {
            builder = builder.max_waiting(requests);
        }
        if let Some(deadline) = self.deadline_ms {
            builder = builder.deadline(ms(deadline));
        }
        if let Some(timeout) = self.connect_timeout_ms {
            builder = builder.connect_timeout(ms(timeout));
        }
        if let Some(least) = self.replicas.filter(|least| *least > 0) {
            builder = builder.replicas(Replicas::at_least(least));
        }
        if let Some(interval) = self.probe_interval_ms {
            builder = builder.probe_interval(ms(interval));
        }
        builder
    }

    /// Where the store is, without who signs in there: `embedded`, `redis://host:6379/0` …, or `not a redis url`.
    #[must_use]
    pub fn place(&self) -> String {
        match self.url.as_deref().filter(|url| !url.is_empty()).map(Target::parse) {
            None => "embedded".to_owned(),
            Some(Ok(target)) => target.place(),
            Some(Err(_)) => "not a redis url".to_owned(),
        }
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("place", &self.place())
            .field("password_file", &self.password_file)
            .field("client_name", &self.client_name)
            .field("prefix", &self.prefix)
            .field("pool_size", &self.pool_size)
            .field("max_waiting", &self.max_waiting)
            .field("deadline_ms", &self.deadline_ms)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .field("probe_interval_ms", &self.probe_interval_ms)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &'static [(&str, &str)]) -> Result<StoreConfig, StoreConfigError> {
        StoreConfig::from_lookup("APP", |name| {
            Ok(variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned()))
        })
    }

    #[test]
    fn variables_become_settings_and_errors_name_them() {
        let config = from(&[
            ("APP_URL", "redis://alice:hunter2@redis.internal:6380/3"),
            ("APP_PASSWORD", "swordfish"),
            ("APP_DEADLINE_MS", "100"),
            ("APP_POOL_SIZE", ""),
            ("OTHER_POOL_SIZE", "9"),
        ])
        .unwrap();
        assert_eq!(
            (config.deadline_ms, config.pool_size, config.place().as_str()),
            (Some(100), None, "redis://redis.internal:6380/3")
        );
        let shown = format!("{config:?}");
        assert!(!["alice", "hunter2", "swordfish"].iter().any(|secret| shown.contains(secret)), "{shown}");
        let error = from(&[("APP_POOL_SIZE", "hunter2")]).unwrap_err();
        assert_eq!((error.setting.as_str(), &error.error), ("APP_POOL_SIZE", &ConfigError::NotReadable));
        assert!(!error.to_string().contains("hunter2"));
    }

    #[tokio::test]
    async fn what_cannot_work_is_named_when_the_store_is_opened() {
        let url = r#""url":"redis://127.0.0.1:1""#;
        for (json, setting) in [
            (format!(r#"{{{url},"deadline_ms":0}}"#), "deadline_ms"),
            (format!(r#"{{{url},"pool_size":0}}"#), "pool_size"),
            (format!(r#"{{{url},"prefix":"{{}}"}}"#), "prefix"),
            (format!(r#"{{{url},"client_name":"a b"}}"#), "client_name"),
            (format!(r#"{{{url},"password":"hunter2","password_file":"/run/secret"}}"#), "password_file"),
            (r#"{"url":"http://hunter2@h"}"#.to_owned(), "url"),
        ] {
            let config: StoreConfig = serde_json::from_str(&json).unwrap();
            let error = config.open().unwrap_err();
            assert_eq!(error.setting, setting);
            assert!(!error.to_string().contains("hunter2"));
        }
        serde_json::from_str::<StoreConfig>(r#"{"urll":"redis://h"}"#).unwrap_err();
        let embedded: StoreConfig = serde_json::from_str(r#"{"prefix":"shop"}"#).unwrap();
        assert_eq!(embedded.open().unwrap().prefix().as_str(), "shop");
    }
}
