//! Where Redis is: a URL, taken apart once.

use std::sync::Arc;

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

use super::cluster::Members;
use super::sentinel::Group;
use super::sentinels::Sentinels;
use crate::store::error::ConfigError;

/// How the server is reached.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Tcp {
        host: String,
        port: u16,
    },
    #[cfg(feature = "tls")]
    Tls {
        host: String,
        port: u16,
    },
    #[cfg(unix)]
    Unix(std::path::PathBuf),
    /// Wherever Sentinels say.
    Sentinel(Arc<Group>),
    /// Any node of a Cluster.
    Cluster(Arc<Members>),
}

impl Address {
    /// Host and port, where these are all.
    pub(super) fn place(&self) -> Option<(String, u16)> {
        match self {
            Self::Tcp { host, port } => Some((host.clone(), *port)),
            #[cfg(feature = "tls")]
            Self::Tls { host, port } => Some((host.clone(), *port)),
            _ => None,
        }
    }
}

/// An address and who signs in there. The connection info's own `Debug` hides the password.
#[derive(Clone, Debug)]
pub(in crate::store) struct Target {
    pub(super) address: Address,
    pub(super) login: RedisConnectionInfo,
}

impl Target {
    /// Reads `redis://`, `rediss://`, `redis+unix://` (and the `valkey` spellings), and `sentinel:MASTER@host:port,host:port`. The host is resolved anew on each connect.
    pub(in crate::store) fn parse(url: &str) -> Result<Self, ConfigError> {
        if let Some(sentinels) = url.strip_prefix("sentinel:") {
            return Ok(Self::sentinel(Sentinels::parse(sentinels)?));
        }
        if let Some(urls) = url.strip_prefix("cluster:") {
            return Self::cluster(urls.split(','));
        }
        let (plain, tls) = match url.split_once("://") {
            Some(("rediss" | "valkeys", rest)) => (format!("redis://{rest}"), true),
            Some(_) => (url.to_owned(), false),
            None => return Err(ConfigError::Url),
        };
        if plain.contains('#') {
            return Err(ConfigError::Url); // `#insecure` would switch the checks of certificates off
        }
        let info = plain.as_str().into_connection_info().map_err(|_| ConfigError::Url)?;
        let address = match (info.addr(), tls) {
            (ConnectionAddr::Tcp(host, port), false) => Address::Tcp { host: host.clone(), port: *port },
            #[cfg(feature = "tls")]
            (ConnectionAddr::Tcp(host, port), true) => Address::Tls { host: host.clone(), port: *port },
            #[cfg(not(feature = "tls"))]
            (ConnectionAddr::Tcp(..), true) => return Err(ConfigError::TlsFeature),
            #[cfg(unix)]
            (ConnectionAddr::Unix(path), false) => Address::Unix(path.clone()),
            _ => return Err(ConfigError::Url),
        };
        Ok(Self { address, login: info.redis_settings().clone() })
    }

    pub(in crate::store) fn sentinel(sentinels: Sentinels) -> Self {
        Self { login: sentinels.login.clone(), address: Address::Sentinel(Group::new(sentinels)) }
    }

    /// Nodes of a Cluster to begin with. Who signs in stands in the first URL.
    pub(in crate::store) fn cluster<U: AsRef<str>>(
        urls: impl IntoIterator<Item = U>,
    ) -> Result<Self, ConfigError> {
        let nodes = urls.into_iter().map(|url| Self::parse(url.as_ref()));
        let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
        let login = nodes.first().ok_or(ConfigError::Url)?.login.clone();
        if nodes.iter().any(|node| node.login.db() != 0) {
            return Err(ConfigError::Url); // a Cluster has but one database
        }
        let members = Members::new(nodes.into_iter().map(|node| node.address).collect())?;
        Ok(Self { login, address: Address::Cluster(Arc::new(members)) })
    }

    /// The same with a user and a password that do not stand in the URL.
    pub(in crate::store) fn signed_in(mut self, username: Option<&str>, password: Option<&str>) -> Self {
        if let Some(username) = username {
            self.login = self.login.set_username(username);
        }
        if let Some(password) = password {
            self.login = self.login.set_password(password);
        }
        self
    }

    /// Where it is, without who signs in: fit to be shown.
    pub(in crate::store) fn place(&self) -> String {
        match &self.address {
            Address::Tcp { host, port } => format!("redis://{host}:{port}/{}", self.login.db()),
            #[cfg(feature = "tls")]
            Address::Tls { host, port } => format!("rediss://{host}:{port}/{}", self.login.db()),
            #[cfg(unix)]
            Address::Unix(path) => format!("redis+unix://{}", path.display()),
            Address::Sentinel(group) => group.sentinels.to_string(),
            Address::Cluster(members) => members.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_secrets_stay_hidden() {
        let target = Target::parse("redis://user:hunter2@example.org:6380/3").unwrap();
        assert!(matches!(&target.address, Address::Tcp { host, port: 6380 } if host == "example.org"));
        assert_eq!(target.login.db(), 3);
        assert!(!format!("{target:?}").contains("hunter2"));
        assert!(Target::parse("redis://127.0.0.1").is_ok() && Target::parse("valkey://[::1]:1").is_ok());
        #[cfg(unix)]
        assert!(matches!(Target::parse("redis+unix:///run/redis.sock").unwrap().address, Address::Unix(_)));
        let cluster = Target::parse("cluster:redis://user:hunter2@h:1,redis://[::1]:2").unwrap();
        assert_eq!(cluster.place(), "cluster:redis://h:1,redis://[::1]:2");
        assert!(!format!("{cluster:?}").contains("hunter2"));
    }

    #[test]
    fn other_urls_are_refused() {
        for url in [
            "",
            "redis",
            "http://localhost",
            "rediss://h#insecure",
            "redis://",
            "rediss+unix:///x",
            "sentinel:m",
            "cluster:",
            "cluster:redis://h:1,",
            "cluster:redis://h:1/2",
            "cluster:redis+unix:///x",
            "cluster:sentinel:m@h:1",
            "cluster:cluster:redis://h:1",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
