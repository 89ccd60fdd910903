//! The modules of the pure rules where they stand in the real crate, with their own unit tests, and nothing of what does I/O.

#![allow(dead_code, unused_imports, reason = "most of their callers are not here")]

pub mod clock;
pub mod fields;
mod random;
mod syntax;
pub mod view;

pub mod cache {
    pub mod rules;
}

pub mod rate_limit {
    mod client;
    mod fields;
    mod key;
    mod quota;

    pub use client::*;
    pub use fields::*;
    pub use key::*;
    pub use quota::*;
}

pub mod session {
    mod cookie;
    mod error;
    mod lifecycle;
    mod origin;
    mod token;

    pub use cookie::*;
    pub use error::*;
    pub use lifecycle::*;
    pub use origin::*;
    pub use token::*;
}

pub mod store {
    mod error;
    mod fields;
    pub mod key;

    pub use error::*;

    pub mod op {
        mod record;

        pub use limit::*;
        pub use record::*;

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
    }
}
