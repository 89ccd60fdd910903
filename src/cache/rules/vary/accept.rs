//! `Accept` and its like: values with weights (RFC 9110 §12.4.2, §12.5).

use std::cmp::Reverse;

use crate::syntax::{elements, is_token, trim};

/// One element: a value, its parameters, its weight.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Choice {
    /// 0 to 1000; largest first.
    weight: Reverse<u16>,
    /// In lower case, with its parameters.
    value: String,
}

impl Choice {
    pub(super) fn value(&self) -> &str {
        &self.value
    }

    pub(super) const fn weight(&self) -> u16 {
        self.weight.0
    }
}

/// Reads a whole field. `None` if any of it is not understood: it is compared as it was sent then.
pub(super) fn choices(list: &[u8]) -> Option<Vec<Choice>> {
    // Parameters of media types may be quoted strings, in which every letter counts.
    if list.contains(&b'"') {
        return None;
    }
    let mut choices: Vec<Choice> =
        elements(list).map(|element| choice(element.text)).collect::<Option<_>>()?;
    choices.sort_by_key(|choice| choice.weight);
    Some(choices)
}

fn choice(element: &[u8]) -> Option<Choice> {
    let text = std::str::from_utf8(element).ok()?;
    let mut parts = text.split(';').map(|part| part.trim_matches([' ', '\t']));
    let mut value = parts.next().filter(|value| is_range(value.as_bytes()))?.to_ascii_lowercase();
    let mut weight = None;
    for part in parts {
        let (name, argument) = part.split_once('=')?;
        if !is_token(name.as_bytes()) || !is_token(argument.as_bytes()) {
            return None;
        }
        if name.eq_ignore_ascii_case("q") {
            // A second weight, or parameters behind it: nobody sends them, and their meaning changed between RFCs.
            if weight.replace(thousandths(argument)?).is_some() {
                return None;
            }
        } else if weight.is_some() {
            return None;
        } else {
            value.extend([";", &name.to_ascii_lowercase(), "=", argument]);
        }
    }
    Some(Choice { weight: Reverse(weight.unwrap_or(1000)), value })
}

/// A media range, language range, charset or coding.
fn is_range(value: &[u8]) -> bool {
    let mut parts = value.splitn(2, |b| *b == b'/');
    parts.all(is_token)
}

/// `qvalue`: 0 to 1 with at most three digits behind the point (RFC 9110 §12.4.2).
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: u16 = format!("{whole}{fraction:0<3}").parse().ok()?;
    (value <= 1000).then_some(value)
}

/// The elements in one form: no white space, weights as short as can be and left out where they are 1.
pub(super) fn written(choices: &[Choice]) -> String {
    let mut text = String::new();
    for choice in choices {
        text.push_str(if text.is_empty() { "" } else { "," });
        text.push_str(&choice.value);
        match choice.weight() {
            1000 => {}
            0 => text.push_str(";q=0"),
            weight => {
                text.push_str(";q=0.");
                text.push_str(format!("{weight:03}").trim_end_matches('0'));
            }
        }
    }
    text
}

/// The best of the supported codings, by the client's weights and then by their order here (RFC 9110 §12.5.3).
pub(super) fn best_coding<'a>(choices: &[Choice], supported: &'a [Box<str>]) -> &'a str {
    const IDENTITY: &str = "identity";
    let weight_of = |coding: &str| {
        let named =
            choices.iter().find(|choice| choice.value.strip_prefix("x-").unwrap_or(&choice.value) == coding);
        named.or_else(|| choices.iter().find(|choice| choice.value == "*")).map(Choice::weight)
    };
    let best = supported
        .iter()
        .map(|coding| (weight_of(coding).unwrap_or(0), &**coding))
        .filter(|(weight, _)| *weight > 0)
        .reduce(|best, next| if next.0 > best.0 { next } else { best });
    // Unless it is named, no coding at all is what everybody accepts and nobody prefers.
    let plain = choices.iter().find(|choice| choice.value == IDENTITY).map_or(0, Choice::weight);
    best.filter(|(weight, _)| *weight >= plain).map_or(IDENTITY, |(_, coding)| coding)
}

/// The supported language that fits best; the first one if none does.
///
/// Ranges are tried by weight, then in their order: each is shortened until it is a supported tag (RFC 4647 §3.4), or else is the
/// beginning of one (§3.3.1).
pub(super) fn best_language<'a>(choices: &[Choice], supported: &'a [Box<str>]) -> Option<&'a str> {
    let wanted = choices.iter().filter(|choice| choice.weight() > 0).map(Choice::value);
    let exact = |range: &str| supported.iter().find(|tag| tag.eq_ignore_ascii_case(range));
    let longer = |range: &str| {
        supported.iter().find(|tag| {
            tag.split_at_checked(range.len())
                .is_some_and(|(begin, rest)| begin.eq_ignore_ascii_case(range) && rest.starts_with('-'))
        })
    };
    let find = |range: &str| {
        let shortened =
            std::iter::successors(Some(range), |range| range.rsplit_once('-').map(|(begin, _)| begin));
        shortened.into_iter().find_map(exact).or_else(|| longer(range))
    };
    wanted.into_iter().find_map(find).or_else(|| supported.first()).map(|tag| &**tag)
}

/// The one language that a client wants most, if there is one.
pub(super) fn favourite(choices: &[Choice]) -> Option<&str> {
    let [first, rest @ ..] = choices else { return None };
    let is_alone = rest.first().is_none_or(|next| next.weight() < first.weight());
    (is_alone && first.weight() > 0 && first.value != "*").then_some(first.value())
}

/// Fields that are lists of weighted values.
pub(super) fn is_weighted(name: &str) -> bool {
    matches!(name, "accept" | "accept-charset" | "accept-encoding" | "accept-language")
}

/// A list in one form: without white space around its elements.
pub(super) fn joined(list: &[u8]) -> Vec<u8> {
    let elements: Vec<&[u8]> = elements(list).map(|element| trim(element.text)).collect();
    elements.join(&b","[..])
}
