//! Limits: the rules as whole numbers, and the operations that decide and change what is counted.

mod bucket;
mod decide;
mod reset;
mod rule;
mod sliding;
mod state;
#[cfg(test)]
mod tests;
mod window;

pub use bucket::Bucket;
pub use decide::{DecideLimits, Decided, LimitUse, LimitVerb, Outcome, PerLimit, Step};
pub use reset::ResetLimits;
pub use rule::{MAX_BAN_US, MAX_UNITS, Rule, Standing, Verdict};
pub use sliding::Sliding;
pub use state::{Ban, State};
pub use window::Window;
