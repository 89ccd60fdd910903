//! A scan of all nodes, one after another. Which one it is at stands in the upper bits of the cursor, which servers do not use: a
//! cursor is a place in their tables.

use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::redis::send::Owned;
use crate::store::wire::{Reply, desync};

/// Where the node's own cursor ends: 1,024 nodes, and tables of 2^54 places.
const SHIFT: u32 = 54;

/// At which node a scan is.
pub(super) fn number(cursor: u64) -> usize {
    usize::try_from(cursor >> SHIFT).unwrap_or(usize::MAX)
}

/// The node's own cursor.
pub(super) const fn inner(cursor: u64) -> u64 {
    cursor & ((1 << SHIFT) - 1)
}

/// A node's page, with the cursor that leads on to the next node after its last one.
pub(super) fn onwards(page: Reply<'static>, number: usize, nodes: usize) -> Owned {
    let Ok([next, keys]) = <[Reply; 2]>::try_from(page.array()?) else { return Err(desync()) };
    let next: u64 = next.text()?.parse().map_err(|_| desync())?;
    if inner(next) != next {
        return Err(StoreErrorKind::Server.into());
    }
    let next = match next {
        0 if number + 1 < nodes => at(number + 1, 0)?,
        0 => 0,
        next => at(number, next)?,
    };
    Ok(Reply::Array(vec![next.to_string().as_str().into(), keys]))
}

fn at(number: usize, inner: u64) -> Result<u64, StoreError> {
    let number = u64::try_from(number).ok().filter(|number| *number < 1 << (u64::BITS - SHIFT));
    number.map(|number| number << SHIFT | inner).ok_or_else(|| StoreErrorKind::Server.into())
}
