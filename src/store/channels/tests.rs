use super::*;
use crate::store::error::StoreErrorKind;

fn topic() -> Topic {
    Topic::Channel("a".into())
}

fn only(channels: &Channels) -> Generation {
    channels.wanted()[&topic()]
}

#[test]
fn a_topic_that_is_entered_anew_must_be_confirmed_anew() {
    let channels = Channels::default();
    let (first, _) = channels.enter(topic(), 1);
    let before = only(&channels);
    channels.confirm(&topic(), before);
    drop(first);
    let (_second, standing) = channels.enter(topic(), 1);
    let after = only(&channels);
    assert_ne!(before, after);
    channels.confirm(&topic(), before);
    assert!(!channels.refuse(&topic(), before, &StoreErrorKind::Forbidden.into()));
    assert!(matches!(*standing.borrow(), Standing::Asked), "an answer to the one before says nothing");
    channels.confirm(&topic(), after);
    assert!(matches!(*standing.borrow(), Standing::Confirmed));
}

#[test]
fn what_is_refused_is_wanted_again_where_somebody_listened_before() {
    let channels = Channels::default();
    let (_listener, _) = channels.enter(topic(), 1);
    let generation = only(&channels);
    let error = StoreErrorKind::Forbidden.into();
    assert!(!channels.refuse(&topic(), generation, &error));
    channels.ask_again();
    assert!(channels.wanted().is_empty() && !channels.is_empty(), "nobody listened yet");
    let (newcomer, standing) = channels.enter(topic(), 1);
    channels.confirm(&topic(), generation);
    assert!(channels.refuse(&topic(), generation, &error));
    drop(newcomer);
    for is_lost in [false, true] {
        if is_lost {
            channels.interrupted(&error);
        }
        assert!(matches!(*standing.borrow(), Standing::Refused(_)));
        assert!(channels.wanted().is_empty(), "not before its time");
        channels.ask_again();
        assert_eq!(only(&channels), generation);
    }
}
