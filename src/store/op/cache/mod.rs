//! The response cache's operations: reading what lies under several keys, publishing, and purging.
//!
//! What may be stored is decided by versions. A namespace has a [log](PurgeLog) with an epoch and a number that grows with each purge,
//! and each tag has the number of its last purge. A response remembers epoch and number from before its handler ran. It is served as
//! long as the epoch is the same and nothing that concerns it was purged at a later number; what is missing counts as purged.

mod admit;
mod fetch;
mod log;
mod publish;
mod purge;
mod record;
mod version;

pub use admit::{Admission, Admit};
pub use fetch::{Fetch, Prolong, PutBlob, Values, Wanted};
pub use log::{Ban as PurgedPath, PurgeLog, Severity};
pub use publish::{Publish, Published, VariantOf};
pub use purge::{ExpireUrl, Forget, Purge, What};
pub use record::{Head, Kind, Spec};
pub use version::TagVersion;
