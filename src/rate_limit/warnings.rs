//! What a limiter says about settings that look wrong, once each.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::client::{ClientAddress, NoClientReason};

/// Where the log lines are explained.
const HELP: &str = "https://docs.rs/tower-keep/latest/tower_keep/rate_limit/index.html#warnings";
/// Where the settings for proxies are explained.
const PROXIES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/proxies.md");
/// So many requests with a forwarding header, all from one peer, are no coincidence.
const MANY: u32 = 1_000;

const UNTRUSTED_HEADER: u8 = 1;
const ONE_CLIENT: u8 = 1 << 1;
const NO_PEER: u8 = 1 << 2;
const NO_CLIENT: u8 = 1 << 3;
const NO_SESSION_LAYER: u8 = 1 << 4;
const WRONG_QUESTION: u8 = 1 << 5;

/// One for each limiter.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    said: AtomicU8,
    forwarded: AtomicU32,
    /// The peer of the first request with a header that was not read.
    peer: Mutex<Option<IpAddr>>,
}

impl Warnings {
    /// Whether this is the first time.
    fn first(&self, warning: u8) -> bool {
        self.said.load(Ordering::Relaxed) & warning == 0
            && self.said.fetch_or(warning, Ordering::Relaxed) & warning == 0
    }

    /// A forwarding header came from a peer that is not trusted.
    pub(super) fn untrusted_header(&self, peer: ClientAddress) {
        if self.first(UNTRUSTED_HEADER) {
            tracing::warn!(
                help = PROXIES,
                "a peer that is not trusted sent a forwarding header, which was not read; if it is your proxy, name it in TrustedProxies"
            );
        }
        if self.said.load(Ordering::Relaxed) & ONE_CLIENT == 0 && self.all_from_one(peer.ip()) {
            self.said.fetch_or(ONE_CLIENT, Ordering::Relaxed);
            tracing::warn!(
                help = PROXIES,
                "all requests come from one peer that forwards them, and count as one client; name your proxy in TrustedProxies"
            );
        }
    }

    /// Whether many such requests came, and none from another peer.
    fn all_from_one(&self, peer: IpAddr) -> bool {
        // The address is whole whenever the lock is free.
        let mut first = self.peer.lock().unwrap_or_else(PoisonError::into_inner);
        if *first.get_or_insert(peer) != peer {
            self.said.fetch_or(ONE_CLIENT, Ordering::Relaxed); // there are several, and nothing to say
            return false;
        }
        self.forwarded.fetch_add(1, Ordering::Relaxed) + 1 == MANY
    }

    /// A request's client is unknown.
    pub(super) fn no_client(&self, reason: NoClientReason) {
        if reason == NoClientReason::NoPeer {
            if self.first(NO_PEER) {
                tracing::error!(
                    help = PROXIES,
                    "a limit counts by client, and requests have no peer address; with axum, use `by_client` of tower-keep-axum and \
                     `into_make_service_with_connect_info::<SocketAddr>()`; elsewhere, have the server put `PeerAddr` into requests"
                );
            }
        } else if self.first(NO_CLIENT) {
            tracing::error!(help = PROXIES, %reason, "a limit counts by client, and who the client is is unknown");
        }
    }

    /// A limit counts by session, and there is no session layer.
    pub(super) fn no_session_layer(&self) {
        if self.first(NO_SESSION_LAYER) {
            tracing::error!(
                help = HELP,
                "a limit counts by session or principal, and no session layer is outside of it"
            );
        }
    }

    /// What the app asks cannot be asked.
    pub(super) fn wrong_question(&self, error: &super::LimitError) {
        if self.first(WRONG_QUESTION) {
            tracing::error!(help = HELP, error = error as &dyn std::error::Error, "a limit cannot be asked");
        }
    }

    /// A layer ends that never saw a request.
    pub(super) fn never_hit() {
        tracing::warn!(
            help = HELP,
            "a rate limit layer was dropped after a minute or more without having seen a request; is it around the right routes?"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keep_testing::Log;

    fn peer(text: &str) -> ClientAddress {
        ClientAddress::new(text.parse().unwrap())
    }

    #[test]
    fn each_warning_is_said_once() {
        let (log, warnings) = (Log::start(), Warnings::default());
        for _ in 0..3 {
            warnings.untrusted_header(peer("192.0.2.1"));
            warnings.no_client(NoClientReason::NoPeer);
            warnings.no_client(NoClientReason::HeaderMissing);
            warnings.no_session_layer();
            warnings.wrong_question(&super::super::LimitError::EmptyKey);
        }
        let said = log.warnings();
        assert_eq!(said.len(), 5, "{said:#?}");
        let linked = |line: &String| line.contains("#warnings") || line.contains("/docs/proxies.md");
        assert!(said.iter().all(|line| linked(line) && !line.contains("192.0.2.1")), "{said:#?}");
        let names_what_to_do = |line: &String| {
            line.contains("by_client") && line.contains("into_make_service_with_connect_info")
        };
        assert!(said.iter().any(names_what_to_do), "{said:#?}");
    }

    #[test]
    fn many_requests_of_one_forwarding_peer_are_worth_a_word_and_of_two_are_not() {
        let (log, warnings) = (Log::start(), Warnings::default());
        (1..MANY).for_each(|_| warnings.untrusted_header(peer("192.0.2.1")));
        assert_eq!(log.warnings().len(), 1);
        (0..3).for_each(|_| warnings.untrusted_header(peer("192.0.2.1")));
        assert_eq!(log.warnings().len(), 2);

        let (log, warnings) = (Log::start(), Warnings::default());
        for i in 0..2 * MANY {
            warnings.untrusted_header(peer(["192.0.2.1", "192.0.2.2"][usize::from(i == 7)]));
        }
        assert_eq!(log.warnings().len(), 1);
    }
}
