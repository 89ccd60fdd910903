//! A batch on its way: which command goes where, what came back, and what is to be sent again.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::redirect::Redirect;
use super::scan;
use super::slot::slot;
use super::view::Place;
use crate::store::error::StoreError;
use crate::store::redis::send::Owned;
use crate::store::wire::{Command, Reply, Verb, desync};

/// The commands of a batch, cut where one reads from several slots.
pub(super) struct Delivery<'a> {
    count: usize,
    pub(super) pieces: Vec<Piece<'a>>,
}

/// A command, or the part of one that one node can carry out.
pub(super) struct Piece<'a> {
    pub(super) command: Cow<'a, Command>,
    pub(super) route: Route,
    /// Of which command of the batch.
    place: usize,
    /// Which of the command's values these are, where it was cut.
    values: Option<Vec<usize>>,
    reply: Option<Owned>,
    /// The last redirection.
    redirected: Option<StoreError>,
}

/// To which node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The one that has the slot.
    Slot(u16),
    /// The one with this number: scans go to one after another.
    Number(usize),
    /// The one to which the key has gone ahead of its slot.
    Ahead(Place),
}

impl Piece<'_> {
    pub(super) fn slot(&self) -> u16 {
        slot_of(&self.command)
    }
}

fn slot_of(command: &Command) -> u16 {
    slot(command.key.as_str().as_bytes())
}

/// Where a command must go, unless it has to be cut.
pub(super) fn route(command: &Command) -> Option<Route> {
    match command.verb {
        Verb::Scan { cursor, .. } => Some(Route::Number(scan::number(cursor))),
        Verb::Plain("MGET") => {
            let first = slot_of(command);
            let alone = command.keys().all(|key| slot(key.as_str().as_bytes()) == first);
            alone.then_some(Route::Slot(first))
        }
        // The keys of all others lie in one slot.
        Verb::Plain(_) | Verb::Script(_) => Some(Route::Slot(slot_of(command))),
    }
}

impl<'a> Delivery<'a> {
    pub(super) fn of(commands: &'a [Command]) -> Self {
        let mut pieces = Vec::with_capacity(commands.len());
        for (place, command) in commands.iter().enumerate() {
            let piece = |command, route, values| Piece {
                command,
                route,
                place,
                values,
                reply: None,
                redirected: None,
            };
            match (route(command), command.verb) {
                (Some(route), Verb::Scan { cursor, count }) => {
                    let inner = Command::scan(command.key.clone(), scan::inner(cursor), count);
                    pieces.push(piece(Cow::Owned(inner), route, None));
                }
                (Some(route), _) => pieces.push(piece(Cow::Borrowed(command), route, None)),
                (None, _) => {
                    for (slot, (part, values)) in cut(command) {
                        pieces.push(piece(Cow::Owned(part), Route::Slot(slot), Some(values)));
                    }
                }
            }
        }
        Self { count: commands.len(), pieces }
    }

    /// What has no reply yet.
    pub(super) fn pending(&self) -> impl Iterator<Item = (usize, &Piece<'a>)> {
        self.pieces.iter().enumerate().filter(|(_, piece)| piece.reply.is_none())
    }

    /// Takes the reply to a piece. A redirection is none: the piece stays pending, with that redirection's route.
    pub(super) fn take(&mut self, number: usize, reply: Owned) -> Option<Redirect> {
        let piece = self.pieces.get_mut(number)?;
        let redirect = reply.as_ref().err().and_then(Redirect::of).cloned();
        match (&redirect, reply) {
            (Some(redirect), Err(error)) => {
                piece.route = match redirect {
                    Redirect::Ask { to } => Route::Ahead(to.clone()),
                    Redirect::Moved { .. } | Redirect::TryAgain => Route::Slot(piece.slot()),
                };
                piece.redirected = Some(error);
            }
            (_, reply) => piece.reply = Some(reply),
        }
        redirect
    }

    /// Gives up what is still pending: with its last redirection, or with `error`.
    pub(super) fn give_up(&mut self, error: &StoreError) {
        for piece in self.pieces.iter_mut().filter(|piece| piece.reply.is_none()) {
            piece.reply = Some(Err(piece.redirected.take().unwrap_or_else(|| error.clone())));
        }
    }

    /// The replies in the order of the batch. `nodes`: how many there are to be scanned.
    pub(super) fn replies(self, nodes: usize) -> Vec<Owned> {
        let mut replies: Vec<Owned> = (0..self.count).map(|_| Ok(Reply::Nil)).collect();
        for piece in self.pieces {
            let Some(whole) = replies.get_mut(piece.place) else { continue };
            let part = piece.reply.unwrap_or_else(|| Err(desync()));
            match (piece.values, &piece.route, piece.command.verb) {
                (Some(values), ..) => put(whole, part, &values),
                (None, Route::Number(number), Verb::Scan { .. }) => {
                    *whole = part.and_then(|page| scan::onwards(page, *number, nodes));
                }
                (None, ..) => *whole = part,
            }
        }
        replies
    }
}

/// The values of one slot, into their places among all.
fn put(whole: &mut Owned, part: Owned, places: &[usize]) {
    if whole.is_err() {
        return;
    }
    let values = match part.and_then(Reply::array) {
        Ok(values) if values.len() == places.len() => values,
        Ok(_) => return *whole = Err(desync()),
        Err(error) => return *whole = Err(error),
    };
    let mut all = match std::mem::replace(whole, Ok(Reply::Nil)) {
        Ok(Reply::Array(all)) => all,
        _ => Vec::new(),
    };
    for (place, value) in places.iter().zip(values) {
        if all.len() <= *place {
            all.resize(place + 1, Reply::Nil);
        }
        if let Some(slot) = all.get_mut(*place) {
            *slot = value;
        }
    }
    *whole = Ok(Reply::Array(all));
}

/// A command that reads values, as one for each slot, with the places of its values.
fn cut(command: &Command) -> BTreeMap<u16, (Command, Vec<usize>)> {
    let mut parts = BTreeMap::<u16, (Command, Vec<usize>)>::new();
    for (place, key) in command.keys().enumerate() {
        let slot = slot(key.as_str().as_bytes());
        match parts.get_mut(&slot) {
            Some((part, places)) => {
                part.more.push(key.clone());
                places.push(place);
            }
            None => {
                parts.insert(slot, (Command::read("MGET", key.clone()), vec![place]));
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests;
