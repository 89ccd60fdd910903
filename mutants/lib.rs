//! The modules of the pure rules where they stand in the real crate, with their own unit tests, and nothing of what does I/O.

#![allow(dead_code, unused_imports, reason = "most of their callers are not here")]

#[cfg(feature = "rate_limit")]
pub mod body;
pub mod clock;
pub mod fields;
mod random;
mod syntax;
pub mod view;

#[cfg(feature = "cache")]
pub mod cache {
    mod entry;
    mod policy;
    pub mod rules;
    mod url;
    mod validity;
}

#[cfg(feature = "kv")]
pub mod kv {
    mod record;
}

#[cfg(feature = "rate_limit")]
pub mod rate_limit {
    mod client;
    mod fields;
    mod key;
    mod limit;
    mod quota;
    mod refusal;

    pub use client::*;
    pub use fields::*;
    pub use key::*;
    pub use limit::*;
    pub use quota::*;
    pub use refusal::*;
}

#[cfg(feature = "session")]
pub mod session {
    mod cookie;
    mod error;
    mod finish;
    mod lifecycle;
    mod origin;
    mod token;

    pub use cookie::*;
    pub use error::*;
    pub use finish::*;
    pub use lifecycle::*;
    pub use origin::*;
    pub use token::*;
}

pub mod store {
    mod error;
    mod fields;
    mod health;
    pub mod key;
    mod wire;

    pub use error::*;

    mod redis {
        mod breaker;
    }

    pub mod op {
        mod record;

        pub use limit::*;
        pub use record::*;

        pub mod cache {
            mod log;
            mod version;

            pub use log::{Ban as PurgedPath, *};
            pub use version::*;
        }

        mod limit {
            mod bucket;
            mod rule;
            mod sliding;
            mod state;
            #[cfg(test)]
            mod tests;
            mod window;

            pub use bucket::Bucket;
            pub use rule::{MAX_BAN_US, MAX_UNITS, Rule, Standing, Verdict};
            pub use sliding::Sliding;
            pub use state::{Ban, State};
            pub use window::Window;
        }

        pub mod state {
            /// As in `src/store/op/state/mod.rs`.
            pub const HEAD: usize = 17;
        }
    }
}
