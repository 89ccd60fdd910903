//! Operations are values: they can be sent alone or several in one round trip.

use super::error::{StoreError, StoreErrorKind};
use super::key::KeyPrefix;
use super::memory::Db;
use super::wire::{Command, Commands, Reply};

/// One question to the store, with a typed answer.
///
/// Engines make operations, [`Store::run`](super::Store::run) sends one, and
/// [`Store::batch`](super::Store::batch) sends several of different kinds in one round trip. The operations are this
/// crate's own; they live in [`op`](super::op).
pub trait Operation: sealed::Sealed + Send + Sync {
    /// The typed answer.
    type Output: Send;

    /// The Redis form.
    #[doc(hidden)]
    fn command(&self, prefix: &KeyPrefix) -> Command;

    /// The same on the embedded store, under its lock, with a reply of the same shape.
    #[doc(hidden)]
    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError>;

    /// Whether it must not be lost with the primary: it ends something, or takes it for one alone.
    #[doc(hidden)]
    fn lasts(&self) -> bool {
        false
    }

    /// What is answered where it was done and too few replicas confirmed it.
    #[doc(hidden)]
    fn unreplicated(&self, output: Self::Output) -> Result<Self::Output, StoreError> {
        drop(output);
        Err(StoreErrorKind::Unreplicated.into())
    }

    /// Reads the reply, and refuses one that belongs to another key.
    #[doc(hidden)]
    fn output(&self, prefix: &KeyPrefix, reply: Reply<'_>) -> Result<Self::Output, StoreError>;
}

pub(super) mod sealed {
    pub trait Sealed {}
}

/// Who needs the operation again after it was sent lends it.
impl<O: Operation> Operation for &O {
    type Output = O::Output;

    fn command(&self, prefix: &KeyPrefix) -> Command {
        (**self).command(prefix)
    }

    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        (**self).apply(prefix, db)
    }

    fn lasts(&self) -> bool {
        (**self).lasts()
    }

    fn unreplicated(&self, output: O::Output) -> Result<O::Output, StoreError> {
        (**self).unreplicated(output)
    }

    fn output(&self, prefix: &KeyPrefix, reply: Reply<'_>) -> Result<O::Output, StoreError> {
        (**self).output(prefix, reply)
    }
}

impl<O: sealed::Sealed> sealed::Sealed for &O {}

/// What went wrong with the answers of a batch as a whole.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Verdict {
    pub desync: bool,
    /// Too few replicas confirmed what they were to confirm.
    pub unreplicated: bool,
}

type Replies<'a, 'r> = dyn Iterator<Item = Result<Reply<'r>, StoreError>> + 'a;

/// One reply of the embedded store.
#[doc(hidden)]
pub type Applied = Result<Reply<'static>, StoreError>;

/// Operations that go out together in one round trip: an [`Operation`], an `Option` or `Vec` of batches, or a
/// tuple of up to four. The operations of a batch are independent of each other: each has a result of its
/// own, one that fails stops none of the others, and on a Redis Cluster they may run in any order.
pub trait Batch: Send + Sync {
    /// One typed result for each operation, in the batch's own shape.
    type Outputs: Send;

    #[doc(hidden)]
    fn commands(&self, prefix: &KeyPrefix, commands: &mut Commands);

    #[doc(hidden)]
    fn apply_all(&self, prefix: &KeyPrefix, db: &mut Db, replies: &mut Vec<Applied>);

    #[doc(hidden)]
    fn outputs(
        &self,
        prefix: &KeyPrefix,
        replies: &mut Replies<'_, '_>,
        verdict: &mut Verdict,
    ) -> Self::Outputs;
}

impl<O: Operation> Batch for O {
    type Outputs = Result<O::Output, StoreError>;

    fn commands(&self, prefix: &KeyPrefix, commands: &mut Commands) {
        commands.push(Command { lasts: self.lasts(), ..self.command(prefix) });
    }

    fn apply_all(&self, prefix: &KeyPrefix, db: &mut Db, replies: &mut Vec<Applied>) {
        replies.push(self.apply(prefix, db));
    }

    fn outputs(
        &self,
        prefix: &KeyPrefix,
        replies: &mut Replies<'_, '_>,
        verdict: &mut Verdict,
    ) -> Self::Outputs {
        let reply = replies.next().unwrap_or_else(|| Err(StoreErrorKind::Desync.into()));
        let output = reply.and_then(|reply| self.output(prefix, reply));
        verdict.desync |= matches!(&output, Err(error) if error.kind() == StoreErrorKind::Desync);
        match output {
            Ok(output) if verdict.unreplicated && self.lasts() => self.unreplicated(output),
            output => output,
        }
    }
}

impl<B: Batch> Batch for Option<B> {
    type Outputs = Option<B::Outputs>;

    fn commands(&self, prefix: &KeyPrefix, commands: &mut Commands) {
        if let Some(batch) = self {
            batch.commands(prefix, commands);
        }
    }

    fn apply_all(&self, prefix: &KeyPrefix, db: &mut Db, replies: &mut Vec<Applied>) {
        if let Some(batch) = self {
            batch.apply_all(prefix, db, replies);
        }
    }

    fn outputs(
        &self,
        prefix: &KeyPrefix,
        replies: &mut Replies<'_, '_>,
        verdict: &mut Verdict,
    ) -> Self::Outputs {
        self.as_ref().map(|batch| batch.outputs(prefix, replies, verdict))
    }
}

impl<B: Batch> Batch for Vec<B> {
    type Outputs = Vec<B::Outputs>;

    fn commands(&self, prefix: &KeyPrefix, commands: &mut Commands) {
        self.iter().for_each(|batch| batch.commands(prefix, commands));
    }

    fn apply_all(&self, prefix: &KeyPrefix, db: &mut Db, replies: &mut Vec<Applied>) {
        self.iter().for_each(|batch| batch.apply_all(prefix, db, replies));
    }

    fn outputs(
        &self,
        prefix: &KeyPrefix,
        replies: &mut Replies<'_, '_>,
        verdict: &mut Verdict,
    ) -> Self::Outputs {
        self.iter().map(|batch| batch.outputs(prefix, replies, verdict)).collect()
    }
}

macro_rules! tuple_batch {
    ($($name:ident $index:tt),+) => {
        impl<$($name: Batch),+> Batch for ($($name,)+) {
            type Outputs = ($($name::Outputs,)+);

            fn commands(&self, prefix: &KeyPrefix, commands: &mut Commands) {
                $(self.$index.commands(prefix, commands);)+
            }

            fn apply_all(&self, prefix: &KeyPrefix, db: &mut Db, replies: &mut Vec<Applied>) {
                $(self.$index.apply_all(prefix, db, replies);)+
            }

            fn outputs(&self, prefix: &KeyPrefix, replies: &mut Replies<'_, '_>, verdict: &mut Verdict) -> Self::Outputs {
                ($(self.$index.outputs(prefix, replies, verdict),)+)
            }
        }
    };
}

tuple_batch!(A 0, B 1);
tuple_batch!(A 0, B 1, C 2);
tuple_batch!(A 0, B 1, C 2, D 3);
