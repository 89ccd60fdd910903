use proptest::prelude::*;

use super::*;
use crate::store::error::StoreErrorKind;
use crate::store::key::Key;
use crate::store::key::KeyPrefix;

fn key(name: &str) -> Key {
    Key::new(&KeyPrefix::default(), "state", name)
}

fn read(names: &[String]) -> Command {
    let mut keys = names.iter().map(|name| key(name));
    Command::read("MGET", keys.next().unwrap()).with_keys(keys)
}

/// What a node that has everything would say: each key itself.
fn told(command: &Command) -> Owned {
    Ok(match command.verb {
        Verb::Plain("MGET") => Reply::Array(command.keys().map(|key| key.as_str().into()).collect()),
        _ => command.key.as_str().into(),
    })
}

fn answer(delivery: &mut Delivery<'_>) {
    let pending: Vec<_> = delivery.pending().map(|(number, piece)| (number, told(&piece.command))).collect();
    for (number, reply) in pending {
        assert_eq!(delivery.take(number, reply), None);
    }
}

fn told_all(commands: &[Command]) -> Vec<Owned> {
    commands.iter().map(told).collect()
}

fn shown(replies: Vec<Owned>) -> Vec<Option<Reply<'static>>> {
    replies.into_iter().map(Result::ok).collect()
}

proptest! {
    #[test]
    fn however_a_batch_is_cut_its_replies_are_those_of_one_node(
        batch in prop::collection::vec(prop::collection::vec("[a-z]{1,2}", 1..8), 1..5)
    ) {
        let commands: Vec<_> = batch.iter().map(|names| read(names)).collect();
        let mut delivery = Delivery::of(&commands);
        for piece in &delivery.pieces {
            let slots = piece.command.keys().map(|key| slot(key.as_str().as_bytes()));
            for slot in slots {
                prop_assert_eq!(slot, piece.slot());
            }
        }
        answer(&mut delivery);
        prop_assert_eq!(shown(delivery.replies(3)), shown(told_all(&commands)));
    }
}

#[test]
fn a_redirected_command_stays_pending_with_its_new_way() {
    let commands = [Command::write("DEL", key("a")), Command::write("DEL", key("b"))];
    let mut delivery = Delivery::of(&commands);
    let redirected = |redirect: &Redirect| {
        Err(StoreError::with_code(StoreErrorKind::Moved, "ASK").caused_by(redirect.clone()))
    };
    let ask = Redirect::Ask { to: ("h".to_owned(), 1) };
    assert_eq!(delivery.take(0, redirected(&ask)), Some(ask));
    assert_eq!(delivery.take(1, Ok(Reply::Int(1))), None);
    let pending: Vec<_> = delivery.pending().map(|(number, piece)| (number, piece.route.clone())).collect();
    assert_eq!(pending, [(0, Route::Ahead(("h".to_owned(), 1)))]);
    assert_eq!(delivery.take(0, redirected(&Redirect::TryAgain)), Some(Redirect::TryAgain));
    assert_eq!(delivery.pieces[0].route, Route::Slot(delivery.pieces[0].slot()));
    delivery.give_up(&StoreErrorKind::Timeout.into());
    let replies = delivery.replies(1);
    assert_eq!(replies[0].as_ref().unwrap_err().code(), Some("ASK"), "why it was not carried out");
    assert_eq!(replies[1].as_ref().ok(), Some(&Reply::Int(1)));
}

#[test]
fn what_one_node_does_not_tell_is_missing_in_the_whole() {
    let names = ["a", "b", "c", "d", "e", "f"].map(str::to_owned);
    let commands = [read(&names)];
    let mut delivery = Delivery::of(&commands);
    assert!(delivery.pieces.len() > 1);
    drop(delivery.take(0, Ok(Reply::Array(Vec::new()))));
    answer(&mut delivery);
    assert_eq!(delivery.replies(1)[0].as_ref().unwrap_err().kind(), StoreErrorKind::Desync);
}

#[test]
fn a_scan_goes_from_node_to_node() {
    let page = |next: &str| Ok(Reply::Array(vec![next.into(), Reply::Array(vec!["k".into()])]));
    let (mut cursor, mut way) = (0, Vec::new());
    for next in ["7", "0", "0"] {
        let commands = [Command::scan(key("*"), cursor, 10)];
        let mut delivery = Delivery::of(&commands);
        let Verb::Scan { cursor: inner, .. } = delivery.pieces[0].command.verb else { panic!() };
        way.push((delivery.pieces[0].route.clone(), inner));
        drop(delivery.take(0, page(next)));
        let Reply::Array(items) = delivery.replies(2).remove(0).unwrap() else { panic!() };
        cursor = items[0].clone().text().unwrap().parse().unwrap();
    }
    assert_eq!(way, [(Route::Number(0), 0), (Route::Number(0), 7), (Route::Number(1), 0)]);
    assert_eq!(cursor, 0, "it has ended");
}
