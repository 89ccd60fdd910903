//! Which Sentinels to ask, and for whom.

use redis::RedisConnectionInfo;

use super::target::Address;
use crate::store::error::ConfigError;

/// A Redis whose primary is named by Sentinels: for [`StoreBuilder::connect_sentinel`](crate::store::StoreBuilder::connect_sentinel).
///
/// ```
/// use tower_keep::store::{Sentinels, Store};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower_keep::store::ConfigError> {
/// let sentinels = Sentinels::new("mymaster", ["10.0.0.1:26379", "10.0.0.2:26379", "10.0.0.3:26379"])?
///     .credentials(Some("app"), "a password");
/// let store = Store::builder().connect_sentinel(sentinels)?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Sentinels {
    pub(super) master: String,
    pub(super) addresses: Vec<(String, u16)>,
    /// How to sign in at the servers, and at the Sentinels themselves. Their own `Debug` hides passwords.
    pub(super) login: RedisConnectionInfo,
    pub(super) own_login: RedisConnectionInfo,
    #[cfg(feature = "tls")]
    tls: bool,
}

impl Sentinels {
    /// The primary that Sentinels call `master`, and where these are: `host:port`, an IPv6 address in brackets.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Url`] when there is no name, no address, more than 64 or one without a port.
    pub fn new<A: AsRef<str>>(
        master: &str,
        addresses: impl IntoIterator<Item = A>,
    ) -> Result<Self, ConfigError> {
        let read = |address: A| {
            let (host, port) = address.as_ref().rsplit_once(':')?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            (!host.is_empty()).then_some((host.to_owned(), port.parse().ok()?))
        };
        let addresses: Vec<_> =
            addresses.into_iter().map(read).collect::<Option<_>>().ok_or(ConfigError::Url)?;
        if master.is_empty() || addresses.is_empty() || addresses.len() > 64 {
            return Err(ConfigError::Url);
        }
        Ok(Self {
            master: master.to_owned(),
            addresses,
            login: RedisConnectionInfo::default(),
            own_login: RedisConnectionInfo::default(),
            #[cfg(feature = "tls")]
            tls: false,
        })
    }

    /// Reads `MASTER@host:port,host:port`.
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let (master, addresses) = text.split_once('@').ok_or(ConfigError::Url)?;
        Self::new(master, addresses.split(','))
    }

    /// Who signs in at the primary.
    pub fn credentials(mut self, user: Option<&str>, password: &str) -> Self {
        self.login = with(self.login, user, password);
        self
    }

    /// Who signs in at the Sentinels, if they ask for that.
    pub fn sentinel_credentials(mut self, user: Option<&str>, password: &str) -> Self {
        self.own_login = with(self.own_login, user, password);
        self
    }

    /// The number of the database at the primary. Default 0.
    pub fn database(mut self, number: u16) -> Self {
        self.login = self.login.set_db(number.into());
        self
    }

    /// Speaks TLS with the Sentinels and the primary, by the builder's [`TlsConfig`](crate::store::TlsConfig). Certificates must name
    /// the addresses that the Sentinels tell.
    #[cfg(feature = "tls")]
    pub const fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    pub(super) fn address(&self, host: String, port: u16) -> Address {
        #[cfg(feature = "tls")]
        if self.tls {
            return Address::Tls { host, port };
        }
        Address::Tcp { host, port }
    }
}

/// As a URL says it, without who signs in.
impl std::fmt::Display for Sentinels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = |(host, port): &(String, u16)| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let addresses: Vec<_> = self.addresses.iter().map(address).collect();
        write!(f, "sentinel:{}@{}", self.master, addresses.join(","))
    }
}

fn with(login: RedisConnectionInfo, user: Option<&str>, password: &str) -> RedisConnectionInfo {
    let login = login.set_password(password);
    match user {
        Some(user) => login.set_username(user),
        None => login,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_secrets_stay_hidden() {
        let sentinels = Sentinels::parse("mymaster@10.0.0.1:26379,[::1]:2,host:3").unwrap();
        assert_eq!(sentinels.master, "mymaster");
        let expected = [("10.0.0.1", 26379), ("::1", 2), ("host", 3)];
        assert_eq!(sentinels.addresses, expected.map(|(host, port)| (host.to_owned(), port)));
        assert_eq!(sentinels.to_string(), "sentinel:mymaster@10.0.0.1:26379,[::1]:2,host:3");
        let secret = sentinels.credentials(None, "hunter2").sentinel_credentials(Some("s"), "hunter3");
        assert!(!format!("{secret:?}").contains("hunter"));
        for text in ["", "m", "m@", "@h:1", "m@h", "m@h:x", "m@h:1,", "m@:1", "m@h:70000"] {
            assert!(Sentinels::parse(text).is_err(), "{text}");
        }
    }
}
